/**
 * A domain's job lock and its QEMU monitor, as far as a hung QEMU or a long job makes them visible.
 *
 * The first call that finds the lock free takes it and hangs as long as QEMU does, without any timeout;
 * later calls wait 30 s for the lock, or skip at once with NOWAIT. While a job such as a save is under way, calls
 * that change the domain wait 30 s for its end, and calls that only ask do not. Nothing else ever waits here.
 */
import type { Clock } from '../util/time.js';
import { Fault } from './fault.js';

export const JOB_WAIT_MS = 30_000;

interface Waiter {
  readonly settle: (fault?: Fault) => void;
}

export class MonitorLock {
  #hung = false;
  #heldSinceMs: number | undefined;
  /** The first call, which holds the lock. */
  #holder: Waiter | undefined;
  readonly #queue = new Set<Waiter>();
  /** Calls that wait for the end of a long job. */
  readonly #jobQueue = new Set<Waiter>();
  #inJob = false;

  constructor(private readonly clock: Clock) {}

  get hung(): boolean {
    return this.#hung;
  }

  /** For how long a call has been stuck in the monitor; undefined while none is. virDomainGetControlInfo's answer. */
  get occupiedMs(): number | undefined {
    return this.#heldSinceMs === undefined ? undefined : Math.floor(this.clock.nowMs() - this.#heldSinceMs);
  }

  /** QEMU stops answering (as after SIGSTOP). */
  hang(): void {
    this.#hung = true;
  }

  /** QEMU answers again: the stuck call succeeds, then all that wait for the lock. */
  release(): void {
    this.#hung = false;
    this.#finish(undefined, undefined);
  }

  /** QEMU is gone. */
  processEnded(): void {
    this.#hung = false;
    const notRunning = new Fault('invalid-state', 'domain is not running');
    this.#finish(new Fault('internal', 'Missing monitor reply object'), notRunning);
    this.#endJob(notRunning);
  }

  /** A long job is under way. */
  beginJob(): void {
    this.#inJob = true;
  }

  endJob(): void {
    this.#endJob(undefined);
  }

  /** The daemon is gone, and with it all calls and the lock; QEMU hangs on. */
  daemonEnded(): void {
    const fault = new Fault('internal', 'client socket is closed');
    this.#finish(fault, fault);
    this.#endJob(fault);
  }

  /**
   * Takes the lock and talks to the monitor. Undefined where that works at once (the usual case); a promise
   * that settles when QEMU answers, dies, or 30 s of waiting for the lock are over (Fault 'timeout').
   */
  enter(): Promise<void> | undefined {
    if (!this.#hung) return undefined;
    if (this.#heldSinceMs !== undefined) return this.#waitForLock();
    this.#heldSinceMs = this.clock.nowMs();
    return new Promise((resolve, reject) => {
      this.#holder = { settle: (fault) => (fault ? reject(fault) : resolve()) };
    });
  }

  /** As enter(), for calls that need the lock but not the monitor: they wait only for a call that is stuck in it. */
  enterJob(): Promise<void> | undefined {
    return this.#heldSinceMs === undefined ? undefined : this.#waitForLock();
  }

  /** For calls that change the domain: they wait for a long job, then as enter() or, without the monitor, enterJob(). */
  enterChange(monitor: boolean): Promise<void> | undefined {
    if (!this.#inJob) return monitor ? this.enter() : this.enterJob();
    return this.#waitForLock(this.#jobQueue).then(() => this.enterChange(monitor));
  }

  #waitForLock(queue = this.#queue): Promise<void> {
    return new Promise((resolve, reject) => {
      const cancelTimer = this.clock.after(JOB_WAIT_MS, () =>
        waiter.settle(
          new Fault(
            'timeout',
            'cannot acquire state change lock (held by monitor=remoteDispatchConnectGetAllDomainStats)',
          ),
        ),
      );
      const waiter: Waiter = {
        settle: (fault) => {
          cancelTimer();
          queue.delete(waiter);
          if (fault) reject(fault);
          else resolve();
        },
      };
      queue.add(waiter);
    });
  }

  #finish(holderFault: Fault | undefined, queueFault: Fault | undefined): void {
    const holder = this.#holder;
    this.#holder = undefined;
    this.#heldSinceMs = undefined;
    holder?.settle(holderFault);
    for (const waiter of [...this.#queue]) waiter.settle(queueFault);
  }

  #endJob(fault: Fault | undefined): void {
    this.#inJob = false;
    for (const waiter of [...this.#jobQueue]) waiter.settle(fault);
  }
}
