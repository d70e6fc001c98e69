/**
 * How many of the daemon's workers the sampler may lose to QEMUs that do not answer. Of 20, 8 at most:
 *
 * A call under way may turn out to be one more that hangs. So a call is made only where those that hang already and
 * those under way stay below 8 together; fewer and fewer are then made at a time, and in the end none.
 *
 * That alone would starve healthy VMs as soon as 8 QEMUs hang for which the kernel has nothing to tell (a libvirt
 * that is not on this machine, a container): control info says OK of a frozen QEMU until somebody touches its monitor,
 * so each one is found by a call that hangs. Hence, while calls hang, VMs have to show life first, by CPU time that
 * moves between two readings that need no monitor (life-signs.ts); a frozen QEMU uses none:
 * - from 4 on, those that gave no sample since: after the first round that meets many frozen QEMUs at once, the
 *   others of them are told from the healthy without a call that could hang;
 * - from 6 on, all: one that froze since its last sample must not take the last workers.
 * VMs whose process the kernel shows alive need no such proof. What is left is a QEMU that runs and yet does not answer:
 * 8 of those end monitor-backed calls until one comes back; state, NICs and the CPU time of VMs in quarantine go on.
 */
import type { Hypervisor } from '../domain/hypervisor.js';
import type { Clock } from '../util/time.js';

export const MAX_STUCK_CALLS = 8;
const PROOF_OF_THE_SILENT = 4;
const PROOF_OF_ALL = 6;

export class StuckBudget {
  /** When half of their patience is over, of the calls under way, monotonic ms. */
  readonly #underWay = new Set<{ readonly halfwayMs: number }>();
  /** Since when so many calls hang that VMs have to prove life, monotonic ms. */
  #scarceSinceMs: number | undefined;

  constructor(
    private readonly hypervisor: Pick<Hypervisor, 'stuckCalls'>,
    private readonly clock: Clock,
  ) {}

  /** Whether one more call that may hang can be made. */
  get hasRoom(): boolean {
    return this.hypervisor.stuckCalls + this.#underWay.size < MAX_STUCK_CALLS;
  }

  /** VMs that the kernel says nothing of have to show life before they are asked, unless they gave a sample since. */
  proofUnlessGoodSinceMs(): number {
    const nowMs = this.clock.nowMs();
    let stuck = this.hypervisor.stuckCalls;
    // QEMUs that froze together are met by calls that were made together: what one shows, the others soon will.
    for (const { halfwayMs } of this.#underWay) if (nowMs >= halfwayMs) stuck++;
    if (stuck < PROOF_OF_THE_SILENT) {
      this.#scarceSinceMs = undefined;
      return -Infinity;
    }
    this.#scarceSinceMs ??= nowMs;
    return stuck >= PROOF_OF_ALL ? Infinity : this.#scarceSinceMs;
  }

  /** Makes a call that may hang. */
  async spend<T>(patienceMs: number, call: () => Promise<T>): Promise<T> {
    const entry = { halfwayMs: this.clock.nowMs() + patienceMs / 2 };
    this.#underWay.add(entry);
    try {
      return await call();
    } finally {
      this.#underWay.delete(entry);
    }
  }
}
