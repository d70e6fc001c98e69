/**
 * The calls of one connection: numbers them, keeps at most 4 in flight, queues the rest in order with priority
 * calls in front, and gives each reply to its call.
 *
 * Why 4: at 5 unanswered calls the daemon stops reading the socket, deaf even to the answers to its own pings.
 * For the same reason a call whose caller gave up keeps its slot until the late reply comes.
 *
 * Invariant: behind 4 calls that nobody waits for any more, which may hang for ever, none waits for longer than half a
 * second. A call that was never sent ends with 'busy', never with 'timeout': its domain is not to blame, and it may be
 * made again.
 */
import { HypervisorError } from '../domain/hypervisor.js';
import type { HypervisorErrorKind } from '../domain/hypervisor.js';
import type { Metrics } from '../util/metrics.js';
import type { Clock } from '../util/time.js';
import { aborted, decodeError, encodeCall, encodeStreamEnd, garbled, timedOut } from './call-request.js';
import type { CallRequest } from './call-request.js';
import type { Download } from './download.js';
import { PacketStatus } from './wire.js';
import type { PacketHeader } from './wire.js';

export const MAX_IN_FLIGHT = 4;
/** A daemon that is only slow answers meanwhile. */
const STUCK_GRACE_MS = 500;

interface PendingCall {
  readonly request: CallRequest;
  readonly startedMs: number;
  /** Idempotent; after it the caller hears no more of this call. */
  readonly settle: (outcome: Buffer | HypervisorError) => void;
  settled: boolean;
  /** Undefined until it is sent. */
  serial: number | undefined;
  settledMs: number;
}

/** A call that nobody waits for any more and that the daemon has not answered. */
export interface HangingCall {
  readonly serial: number;
  readonly request: Pick<CallRequest, 'label' | 'domains'>;
}

/** What was wrong with a packet. */
type Fault = 'unknown-serial' | 'unknown-stream' | 'mismatch' | 'undecodable';

export interface CallWindowDeps {
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly lane: string;
  readonly send: (packet: Buffer) => void;
}

export class CallWindow {
  readonly #inFlight = new Map<number, PendingCall>();
  readonly #priority: PendingCall[] = [];
  readonly #ordinary: PendingCall[] = [];
  #nextSerial = 0;
  #cancelRefusal: (() => void) | undefined;

  constructor(private readonly deps: CallWindowDeps) {}

  /** Calls whose callers gave up and whose replies are still to come. */
  get abandoned(): number {
    return [...this.#inFlight.values()].filter(({ settled }) => settled).length;
  }

  /** Calls that were given up at least so long ago. */
  hanging(forMs: number): HangingCall[] {
    const sinceMs = this.deps.clock.nowMs() - forMs;
    const calls = [...this.#inFlight].filter(([, { settledMs }]) => settledMs <= sinceMs);
    return calls.map(([serial, { request }]) => ({ serial, request }));
  }

  /** Takes it for answered; should a reply come all the same, it is one that nobody expects. */
  forget({ serial, request }: HangingCall): void {
    if (this.#inFlight.get(serial)?.request === request) this.#free(serial);
  }

  /** Calls sent and not answered, abandoned ones included. */
  get inFlight(): number {
    return this.#inFlight.size;
  }

  /** A call submitted now would be sent at once. */
  get hasRoom(): boolean {
    return this.#inFlight.size < MAX_IN_FLIGHT;
  }

  /**
   * Resolves with the reply's whole packet; rejects with LibvirtError, or HypervisorError 'timeout', 'aborted',
   * 'unavailable', or 'busy' where it was not sent.
   */
  submit(request: CallRequest): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const call = this.#pending(request, resolve, reject);
      if (request.signal?.aborted) {
        call.settle(aborted(request));
        return;
      }
      (request.procedure.priority ? this.#priority : this.#ordinary).push(call);
      this.#pump();
    });
  }

  /** @returns what was wrong with the packet, undefined if all was well */
  reply(header: PacketHeader, packet: Buffer): Fault | undefined {
    const call = this.#inFlight.get(header.serial);
    if (!call) return 'unknown-serial';
    const { procedure, download } = call.request;
    if (header.program !== procedure.program || header.procedure !== procedure.number) return 'mismatch';
    if (download?.reply) return 'mismatch';
    if (call.settled) this.deps.metrics.libvirt_late_replies_total.inc();
    if (!download || header.status !== PacketStatus.ok) return this.#finish(call, header, packet);
    this.#endStream(call, download.begin(packet));
    if (download.over) this.#free(header.serial);
    return undefined;
  }

  /** A packet of a stream. @returns as reply() */
  stream(header: PacketHeader, packet: Buffer): Fault | undefined {
    const call = this.#inFlight.get(header.serial);
    const download = call?.request.download;
    if (!call || !download || download.over) return 'unknown-stream';
    const { program, number } = call.request.procedure;
    if (header.program !== program || header.procedure !== number) return 'mismatch';
    if (call.settled) this.deps.metrics.libvirt_late_stream_packets_total.inc();
    if (header.status === PacketStatus.continue) {
      this.#receive(call, download, packet);
      return undefined;
    }
    const finished = download.end();
    if (header.status === PacketStatus.ok && !finished) {
      call.settle(new HypervisorError('failed', `${call.request.label}: its stream ended too early`));
    }
    const outcome =
      header.status === PacketStatus.ok ? download.reply : decodeError(packet, call.request.label);
    call.settle(outcome ?? garbled(call.request));
    if (download.reply) this.#free(header.serial);
    return header.status === PacketStatus.ok || outcome ? undefined : 'undecodable';
  }

  failAll(error: HypervisorError): void {
    const calls = [...this.#inFlight.values(), ...this.#priority.splice(0), ...this.#ordinary.splice(0)];
    this.#inFlight.clear();
    for (const call of calls) call.settle(error);
    this.#watchForStuck();
  }

  /** The daemon's last word on a call. */
  #finish({ request, settle }: PendingCall, header: PacketHeader, packet: Buffer): Fault | undefined {
    const outcome = header.status === PacketStatus.ok ? packet : decodeError(packet, request.label);
    settle(outcome ?? garbled(request));
    this.#free(header.serial);
    return outcome ? undefined : 'undecodable';
  }

  #free(serial: number): void {
    this.#inFlight.delete(serial);
    this.#pump();
  }

  #receive(call: PendingCall, download: Download, packet: Buffer): void {
    try {
      this.#endStream(call, download.receive(packet));
    } catch (error) {
      if (!(error instanceof HypervisorError)) throw error;
      call.settle(new HypervisorError(error.kind, `${call.request.label}: ${error.message}`));
      this.#endStream(call, download.abort());
      this.#watchForStuck();
    }
  }

  /** @param status of the packet that tells the daemon; undefined where it need not be told */
  #endStream({ request, serial }: PendingCall, status: number | undefined): void {
    if (status === undefined || serial === undefined) return;
    this.deps.send(encodeStreamEnd(request, serial, status));
  }

  #pending(
    request: CallRequest,
    resolve: (packet: Buffer) => void,
    reject: (error: HypervisorError) => void,
  ): PendingCall {
    const { clock } = this.deps;
    const { deadlineMs, signal } = request;
    const onAbort = (): void => this.#giveUp(call, () => aborted(request));
    const expired = (sent: boolean): HypervisorError => (sent ? timedOut(request) : this.#notSent(request));
    const cancelTimer = Number.isFinite(deadlineMs)
      ? clock.after(Math.max(0, deadlineMs), () => this.#giveUp(call, expired))
      : undefined;
    signal?.addEventListener('abort', onAbort, { once: true });
    const call: PendingCall = {
      request,
      startedMs: clock.nowMs(),
      settled: false,
      settledMs: Infinity,
      serial: undefined,
      settle: (outcome) => {
        if (call.settled) return;
        call.settled = true;
        call.settledMs = clock.nowMs();
        cancelTimer?.();
        signal?.removeEventListener('abort', onAbort);
        this.#measure(call, outcome);
        if (outcome instanceof HypervisorError) reject(outcome);
        else resolve(outcome);
      },
    };
    return call;
  }

  #giveUp(call: PendingCall, errorOf: (sent: boolean) => HypervisorError): void {
    const queue = [this.#priority, this.#ordinary].find((each) => each.includes(call));
    queue?.splice(queue.indexOf(call), 1);
    call.settle(errorOf(queue === undefined));
    this.#endStream(call, call.request.download?.abort());
    this.#watchForStuck();
  }

  /** Call it after every change of what is in flight or queued. */
  #watchForStuck(): void {
    const waiting = this.#priority.length + this.#ordinary.length;
    if (waiting === 0 || this.abandoned < MAX_IN_FLIGHT) {
      this.#cancelRefusal?.();
      this.#cancelRefusal = undefined;
      return;
    }
    this.#cancelRefusal ??= this.deps.clock.after(STUCK_GRACE_MS, () => {
      this.#cancelRefusal = undefined;
      for (const { request, settle } of [...this.#priority.splice(0), ...this.#ordinary.splice(0)])
        settle(this.#notSent(request));
    });
  }

  #notSent({ label }: CallRequest): HypervisorError {
    const before = [...this.#inFlight.values()].map(({ request }) => request.label).join(', ');
    return new HypervisorError(
      'busy',
      `${label} was not sent: libvirt has not answered the calls before it (${before})`,
    );
  }

  #measure(call: PendingCall, outcome: Buffer | HypervisorError): void {
    const { clock, metrics, lane } = this.deps;
    const result: HypervisorErrorKind | 'ok' = outcome instanceof HypervisorError ? outcome.kind : 'ok';
    metrics.libvirt_calls_total.inc({ lane, result });
    metrics.libvirt_call_seconds.observe({ lane }, (clock.nowMs() - call.startedMs) / 1000);
  }

  #pump(): void {
    while (this.hasRoom) {
      const call = this.#priority.shift() ?? this.#ordinary.shift();
      if (!call) break;
      const serial = this.#takeSerial();
      call.serial = serial;
      this.#inFlight.set(serial, call);
      this.deps.send(encodeCall(call.request, serial));
    }
    this.#watchForStuck();
  }

  #takeSerial(): number {
    while (this.#inFlight.has(this.#nextSerial)) this.#nextSerial = (this.#nextSerial + 1) >>> 0;
    const serial = this.#nextSerial;
    this.#nextSerial = (serial + 1) >>> 0;
    return serial;
  }
}
