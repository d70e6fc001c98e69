/**
 * A commit of disk images that is under way: how far it is, and when it is through. Goes on while the guest is paused.
 */
import type { Clock } from '../util/time.js';
import { BlockJobType } from './events.js';

export interface CommitPlan {
  /** The disk's target name. */
  readonly target: string;
  /** Path of the image that receives. */
  readonly base: string;
  /** Path of the image that is committed. */
  readonly top: string;
  /** virDomainBlockJobType. */
  readonly type: number;
  readonly bytes: number;
  /** How long it takes without a limit, ms. */
  readonly durationMs: number;
}

export class BlockJob {
  /** An active commit that has caught up with the guest. */
  ready = false;
  #bandwidth = 0;
  #doneBytes = 0;
  #sinceMs: number;
  #cancelTimer: (() => void) | undefined;

  /** @param onDone called when all is copied, once */
  constructor(
    readonly plan: CommitPlan,
    private readonly clock: Clock,
    private readonly onDone: () => void,
  ) {
    this.#sinceMs = clock.nowMs();
  }

  get active(): boolean {
    return this.plan.type === BlockJobType.activeCommit;
  }

  /** Bytes/s; 0 is unlimited. */
  get bandwidth(): number {
    return this.#bandwidth;
  }

  get processedBytes(): number {
    if (this.ready) return this.plan.bytes;
    const copied = (this.clock.nowMs() - this.#sinceMs) * this.#bytesPerMs();
    // All of it is reached by the timer alone.
    return Math.floor(Math.min(this.plan.bytes - 1, this.#doneBytes + copied));
  }

  /** Starts, or goes on at another speed, bytes/s. */
  runAt(bandwidth: number): void {
    this.#doneBytes = Math.max(0, this.processedBytes);
    this.#sinceMs = this.clock.nowMs();
    this.#bandwidth = bandwidth;
    this.stop();
    if (this.ready) return;
    const remainingMs = (this.plan.bytes - this.#doneBytes) / this.#bytesPerMs();
    this.#cancelTimer = this.clock.after(remainingMs, () => this.onDone());
  }

  stop(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  #bytesPerMs(): number {
    const { bytes, durationMs } = this.plan;
    const unlimited = bytes / Math.max(durationMs, 0.001);
    return this.#bandwidth > 0 ? Math.min(unlimited, this.#bandwidth / 1000) : unlimited;
  }
}
