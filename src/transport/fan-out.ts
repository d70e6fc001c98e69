/**
 * Events to sessions: numbers each event, encodes it once, keeps it for those who resume, and hands the same bytes
 * to every subscriber. It knows no sockets, and does not decide what happens in the agent: the registry publishes.
 *
 * Invariants: numbers are consecutive from 1 within one epoch (one run of the agent) and are given in the order of
 * delivery; a held VM's events keep their order and get their numbers at release; notify_time of one VM never
 * goes back, since an engine drops an event that is older than what it knows.
 */
import { randomUUID } from 'node:crypto';
import type { EventPosition, EventSink, NumberedEvent } from '../api/peer.js';
import type { VmId } from '../domain/ids.js';
import type { AgentEvent } from '../domain/vm.js';
import type { Service } from '../util/lifecycle.js';
import type { Logger } from '../util/log.js';
import type { Metrics } from '../util/metrics.js';
import type { Clock } from '../util/time.js';
import { EventRing } from './event-ring.js';

/** One event, ready to send. */
export interface PublishedEvent {
  readonly seq: number;
  readonly topic: string;
  /** The JSON-RPC notification as UTF-8 text; shared by all, never written to. */
  readonly bytes: Buffer;
}

export interface Subscriber {
  /** Must not publish. One that throws gets no further event, and disturbs no other. */
  deliver(event: PublishedEvent): void;
  /** Told after deliver() has thrown: there is a hole now. */
  failed?(): void;
}

export interface FanOutOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Encoded bytes kept for resumption. Default 8 MiB. */
  readonly ringBytes?: number;
  /** Events kept for resumption. Default 10,000. */
  readonly ringEvents?: number;
  /** A hold that outlives this is a fault of its holder and is released with a warning. Default 10 minutes. */
  readonly maxHoldMs?: number;
}

/** VMs whose last notify_time is remembered; more than any host runs. */
const MAX_REMEMBERED = 20_000;

interface Hold {
  holders: number;
  readonly events: AgentEvent[];
}

export class FanOut implements EventSink, Service {
  /** Random: positions of another run of the agent are recognised as foreign. */
  readonly epoch = randomUUID();
  readonly #ring: EventRing<PublishedEvent>;
  readonly #subscribers = new Set<Subscriber>();
  readonly #holds = new Map<VmId, Hold>();
  readonly #releases = new Set<() => void>();
  readonly #lastNotifyTime = new Map<VmId, number>();

  constructor(private readonly options: FanOutOptions) {
    this.#ring = new EventRing(options.ringEvents ?? 10_000, options.ringBytes ?? 8 * 1024 * 1024);
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  /** Ends all holds, so that no timer is left. */
  stop(): Promise<void> {
    for (const release of this.#releases) release();
    return Promise.resolve();
  }

  /** Number of the last event; 0 before the first. */
  get seq(): number {
    return this.#ring.newest;
  }

  get subscriberCount(): number {
    return this.#subscribers.size;
  }

  publish(event: AgentEvent): void {
    const hold = event.vmId === undefined ? undefined : this.#holds.get(event.vmId);
    if (hold) hold.events.push(event);
    else this.#emit(event);
  }

  hold(id: VmId): () => void {
    const hold = this.#holds.get(id) ?? { holders: 0, events: [] };
    this.#holds.set(id, hold);
    hold.holders++;
    const release = (): void => {
      if (!this.#releases.delete(release)) return;
      cancelTimer();
      if (--hold.holders === 0) this.#letGo(id, hold);
    };
    const maxHoldMs = this.options.maxHoldMs ?? 600_000;
    const cancelTimer = this.options.clock.after(maxHoldMs, () => {
      this.options.metrics.event_holds_expired_total.inc();
      this.options.log.error({ vmId: id, maxHoldMs }, 'events of a VM were held back for too long; released');
      release();
    });
    this.#releases.add(release);
    return release;
  }

  /** Events after `position`, or undefined where they cannot be had: another run, overwritten, never given out. */
  resume(position: EventPosition): NumberedEvent[] | undefined {
    const missed = position.epoch === this.epoch ? this.#ring.since(position.seq) : undefined;
    this.options.metrics.events_resumed_total.inc({ outcome: this.#outcome(position, missed) });
    return missed?.map(decodeEvent);
  }

  /** As resume, within this run and as they are sent. */
  since(seq: number): readonly PublishedEvent[] | undefined {
    return this.#ring.since(seq);
  }

  /** Every event from now on. Returns the remover. */
  attach(subscriber: Subscriber): () => void {
    this.#subscribers.add(subscriber);
    return () => {
      this.#subscribers.delete(subscriber);
    };
  }

  #letGo(id: VmId, hold: Hold): void {
    this.#holds.delete(id);
    for (const event of hold.events) {
      try {
        this.#emit(event);
      } catch (error) {
        this.#fault(error, event.topic, 'an event could not be published');
      }
    }
  }

  #emit(event: AgentEvent): void {
    const published = encodeEvent(event, this.seq + 1, this.#monotone(event));
    this.#ring.push(published);
    this.options.metrics.events_published_total.inc();
    for (const subscriber of this.#subscribers) {
      try {
        subscriber.deliver(published);
      } catch (error) {
        this.#subscribers.delete(subscriber);
        this.#fault(error, event.topic, 'a subscriber could not take an event and gets no more');
        subscriber.failed?.();
      }
    }
  }

  #fault(err: unknown, topic: string, what: string): void {
    this.options.metrics.internal_faults_total.inc({ part: 'events' });
    this.options.log.error({ err, topic }, what);
  }

  /** Deleting before setting keeps the map in order of use, so that its first key is the least recently used. */
  #monotone({ vmId, notifyTime: ownTime }: AgentEvent): number {
    if (vmId === undefined) return ownTime;
    const notifyTime = Math.max(ownTime, this.#lastNotifyTime.get(vmId) ?? 0);
    this.#lastNotifyTime.delete(vmId);
    this.#lastNotifyTime.set(vmId, notifyTime);
    const [oldest] = this.#lastNotifyTime.size > MAX_REMEMBERED ? this.#lastNotifyTime.keys() : [];
    if (oldest) this.#lastNotifyTime.delete(oldest);
    return notifyTime;
  }

  #outcome(position: EventPosition, missed: readonly unknown[] | undefined): string {
    if (missed) return 'resumed';
    if (position.epoch !== this.epoch) return 'other-epoch';
    return position.seq > this.seq ? 'future' : 'overwritten';
  }
}

/**
 * VDSM's notification with `seq` beside its members. Nothing may be added to params: an engine takes every key
 * of it but notify_time for a VM id.
 */
export function encodeEvent(event: AgentEvent, seq: number, notifyTime: number): PublishedEvent {
  const params = JSON.stringify({ ...event.params, notify_time: notifyTime });
  const text = `{"jsonrpc":"2.0","method":${JSON.stringify(event.topic)},"params":${params},"seq":${seq}}`;
  return { seq, topic: event.topic, bytes: Buffer.from(text) };
}

/** Resuming is rare: decoding then is cheaper than keeping every payload as objects all the time. */
function decodeEvent(event: PublishedEvent): NumberedEvent {
  const { params } = JSON.parse(event.bytes.toString()) as { params: Record<string, unknown> };
  return { seq: event.seq, method: event.topic, params };
}
