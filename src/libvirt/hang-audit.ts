/**
 * Tells calls that hang in a guest from calls whose replies were lost. Both look the same: given up, unanswered, and
 * holding a slot of the few that may hang. The first kind must be counted as long as it lasts, for it holds one of the
 * daemon's workers; of the second kind some eight would close a lane for ever.
 *
 * The difference is what the daemon says of the domains: while a call hangs in a monitor, its domain's control info is
 * not 'ok'; asking that never hangs. So a call is forgotten when it was given up long ago and two looks in a row found
 * all its domains well, or gone. Calls to guest agents are left out: control info says nothing of agents.
 */
import { HypervisorError } from '../domain/hypervisor.js';
import type { Logger, RateLimiter } from '../util/log.js';
import type { Metrics } from '../util/metrics.js';
import type { Clock } from '../util/time.js';
import type { HangingCall } from './call-window.js';
import { controlStates } from './enumerations.js';
import type { Lane } from './lanes.js';
import type { DomainHandle } from './objects.js';

const LOOK_EVERY_MS = 15_000;
/** Longer than a destroyed QEMU that does not react keeps its domain locked, 11.5 s. */
const HANGING_MS = 15_000;

export interface HangAuditParts {
  /** Those whose calls may be forgotten. */
  readonly lanes: readonly Pick<Lane, 'hanging'>[];
  readonly priority: Pick<Lane, 'call'>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly limiter: RateLimiter;
  readonly metrics: Pick<Metrics, 'libvirt_lost_replies_total'>;
}

export class HangAudit {
  /** Calls that the last look found nothing to hang in. */
  #suspects = new Set<HangingCall['request']>();
  #looking = false;
  #cancel: (() => void) | undefined;

  constructor(private readonly parts: HangAuditParts) {}

  start(): void {
    this.#cancel ??= this.parts.clock.every(LOOK_EVERY_MS, () => void this.look());
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  /** Never rejects; at once over where nothing hangs, or a look is under way. */
  async look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    const suspects = new Set<HangingCall['request']>();
    for (const lane of this.parts.lanes) {
      for (const { call, forget } of lane.hanging(HANGING_MS)) {
        const { request } = call;
        if (!(await this.#areWell(request.domains))) continue;
        if (this.#suspects.has(request)) this.#forget(request, forget);
        else suspects.add(request);
      }
    }
    this.#suspects = suspects;
    this.#looking = false;
  }

  async #areWell(domains: readonly DomainHandle[]): Promise<boolean> {
    for (const dom of domains) {
      try {
        const { state } = await this.parts.priority.call('DOMAIN_GET_CONTROL_INFO', { dom, flags: 0 });
        if (controlStates[state] !== 'ok') return false;
      } catch (error) {
        const kind = error instanceof HypervisorError ? error.kind : undefined;
        // Gone, or off: there is no monitor to hang in.
        if (kind !== 'no-domain' && kind !== 'invalid-state') return false;
      }
    }
    return true;
  }

  #forget({ label }: HangingCall['request'], forget: () => void): void {
    const { metrics, limiter, log } = this.parts;
    forget();
    metrics.libvirt_lost_replies_total.inc();
    limiter.run('lost reply', (swallowed) =>
      log.warn({ call: label, swallowed }, 'a reply of libvirt was lost: its call is waited for no longer'),
    );
  }
}
