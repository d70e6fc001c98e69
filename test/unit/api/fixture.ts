/**
 * A dispatcher over fakes that a test can look into, and short ways to talk to it.
 */
import assert from 'node:assert/strict';
import type {
  HealthSource,
  HostFacts,
  JobSource,
  OperationVerb,
  VmOperations,
} from '../../../src/api/call.js';
import { createDispatcher } from '../../../src/api/create-dispatcher.js';
import type { Dispatcher, DispatcherLimits } from '../../../src/api/dispatcher.js';
import type { EventPosition, EventSink, Peer, Reply, Subscription } from '../../../src/api/peer.js';
import type { VmId } from '../../../src/domain/ids.js';
import type { StatsSnapshot, Vm, VmSource } from '../../../src/domain/vm.js';
import { defaultGuest } from '../../../src/domain/guest-info.js';
import type { DomainDescription } from '../../../src/domain/devices.js';
import { verbNames, verbSpecs, type VerbResult } from '../../../src/protocol/verbs.js';
import type { Logger } from '../../../src/util/log.js';
import { createMetrics, type Metrics } from '../../../src/util/metrics.js';
import { ManualClock } from '../../support/manual-clock.js';

export const idA = '0a1b2c3d-0000-4000-8000-00000000000a' as VmId;
export const idB = '0a1b2c3d-0000-4000-8000-00000000000b' as VmId;
export const unknownId = 'ffffffff-0000-4000-8000-000000000000' as VmId;

export function vm(id: VmId, over: Partial<Vm> = {}): Vm {
  return {
    id,
    name: `vm-${id.slice(-1)}`,
    internal: 'Up',
    cpuRunning: true,
    status: 'Up',
    clientIp: '',
    clientPort: '',
    timeOffsetSec: 0,
    monitorResponsive: true,
    guest: defaultGuest,
    external: false,
    domain: { xml: `<domain><uuid>${id}</uuid></domain>` } as DomainDescription,
    ...over,
  };
}

export class FakePeer implements Peer {
  readonly name = 'test:1';
  subscription: Subscription = { epoch: 'e1', seq: 7 };
  readonly resumes: (EventPosition | undefined)[] = [];
  subscribed = false;

  subscribe(resume?: EventPosition): Subscription {
    this.resumes.push(resume);
    this.subscribed = true;
    return this.subscription;
  }

  unsubscribe(): boolean {
    const was = this.subscribed;
    this.subscribed = false;
    return was;
  }
}

/** Tells which VMs' events are held now. */
export class FakeSink implements EventSink {
  readonly held: VmId[] = [];
  readonly everHeld: VmId[] = [];
  publish(): void {
    assert.fail('the API publishes no events');
  }
  hold(id: VmId): () => void {
    this.held.push(id);
    this.everHeld.push(id);
    let released = false;
    return () => {
      assert.equal(released, false, 'a hold is released once');
      released = true;
      this.held.splice(this.held.indexOf(id), 1);
    };
  }
}

export interface LogLine {
  readonly level: 'error' | 'warn' | 'info' | 'debug';
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

export function recordingLogger(lines: LogLine[]): Logger {
  const at =
    (level: LogLine['level']) =>
    (fields: object, message: string): void => {
      lines.push({ level, fields: { ...fields }, message });
    };
  const logger: Logger = {
    error: at('error'),
    warn: at('warn'),
    info: at('info'),
    debug: at('debug'),
    child: () => logger,
  };
  return logger;
}

export const healthy: VerbResult<'Agent.getHealth'> = {
  status: 'ok',
  problems: [],
  libvirt: { state: 'open', sinceSec: 3, uri: 'qemu:///system', readOnly: false },
  sampler: { lastTickAgeSec: 2.5, lastTickSec: 0.02, oldestSampleAgeSec: 2.6 },
  starts: { running: 0, waiting: 0, places: 8, longestWaitSec: 0 },
  vms: 2,
  sessions: 1,
  version: '0.1.0',
  uptimeSec: 60,
  epoch: 'e1',
};

type VerbWork = (id: VmId, input: Readonly<Record<string, unknown>>) => Promise<unknown>;

/** Verbs that go to VmOperations as they are. */
export const operationVerbs = verbNames.filter(
  (verb): verb is OperationVerb =>
    verb.startsWith('VM.') && !['VM.create', 'VM.getStats', 'VM.getInfo'].includes(verb),
);

/** Everything a test may look at or replace. */
export class Fixture {
  readonly clock = new ManualClock();
  readonly metrics: Metrics = createMetrics();
  readonly log: LogLine[] = [];
  readonly sink = new FakeSink();
  readonly peer = new FakePeer();
  readonly records = new Map<VmId, Buffer>();
  readonly table = new Map<VmId, Vm>();
  readonly calls: unknown[][] = [];
  ready = true;
  pages: readonly Buffer[] = [Buffer.from('[{"vmId":'), Buffer.from('"x"}]')];
  readonly #replaced = new Map<OperationVerb, VerbWork>();
  create: VmOperations['create'] = ({ xml }) => {
    this.calls.push(['VM.create', xml]);
    return { vmId: idB, status: 'WaitForLaunch', statusTime: '5', xml };
  };
  hostFacts: HostFacts = {
    capabilities: () => Promise.resolve({ cpuCores: '8' }),
    stats: () => Promise.resolve({ cpuLoad: '0.10' }),
  };
  health: HealthSource = { health: () => healthy };
  readonly dispatcher: Dispatcher;

  constructor(options: { limits?: DispatcherLimits } = {}) {
    for (const one of [vm(idA), vm(idB, { internal: 'Paused', status: 'Paused', pauseCode: 'EIO' })]) {
      this.table.set(one.id, one);
    }
    const { table, records, clock, metrics, sink: events } = this;
    const vms: VmSource = {
      get: (id) => table.get(id),
      all: () => table.values(),
      get size() {
        return table.size;
      },
      onChange: () => () => undefined,
    };
    const snapshot: StatsSnapshot = {
      pages: () => this.pages,
      record: (id) => records.get(id),
      sampledAtMs: 0,
    };
    const parts = {
      vms,
      snapshot,
      // By way of this, so that a test may replace them after construction.
      operations: {
        create: (vmParams: Parameters<VmOperations['create']>[0]) => this.create(vmParams),
        verbs: Object.fromEntries(operationVerbs.map((verb) => [verb, this.#work(verb)])),
        ioTunePolicies: () => Promise.resolve({}),
      } as unknown as VmOperations,
      jobs: { list: (type: string | undefined, ids: readonly string[]) => this.listJobs(type, ids) },
      hostFacts: {
        capabilities: () => this.hostFacts.capabilities(),
        stats: () => this.hostFacts.stats(),
      },
      health: { health: () => this.health.health() },
      events,
      isReady: () => this.ready,
      clock,
      log: recordingLogger(this.log),
      metrics,
      ...(options.limits && { limits: options.limits }),
    };
    this.dispatcher = createDispatcher(parts);
  }

  listJobs: JobSource['list'] = () => ({});

  /** Puts other work in place of a verb's: without, the call is noted and the example's result answered. */
  replace(verb: OperationVerb, work: VerbWork): void {
    this.#replaced.set(verb, work);
  }

  #work(verb: OperationVerb): VerbWork {
    return (id, input) => {
      const work = this.#replaced.get(verb);
      if (work) return work(id, input);
      const { vmID: _vmID, ...others } = input;
      this.calls.push([verb, id, others]);
      return Promise.resolve(verbSpecs[verb].example?.result ?? true);
    };
  }

  handle(message: unknown): Promise<Reply | undefined> {
    const bytes = Buffer.isBuffer(message)
      ? message
      : Buffer.from(typeof message === 'string' ? message : JSON.stringify(message));
    return this.dispatcher.handle(bytes, this.peer);
  }

  /** Sends text or a value as JSON; the parsed reply, after `sent`. */
  async exchange(message: unknown): Promise<unknown> {
    const reply = await this.handle(message);
    if (!reply) return undefined;
    reply.sent();
    return JSON.parse(textOf(reply));
  }

  /** Calls one verb; the response object. */
  async call(method: string, params?: unknown): Promise<{ result?: unknown; error?: ErrorObject }> {
    const request = { jsonrpc: '2.0', id: 'c', method, ...(params !== undefined && { params }) };
    return (await this.exchange(request)) as { result?: unknown; error?: ErrorObject };
  }

  /** Calls one verb that has to fail; its error object. */
  async error(method: string, params?: unknown): Promise<ErrorObject> {
    const { error } = await this.call(method, params);
    assert.ok(error, `${method} was expected to fail`);
    return error;
  }
}

export interface ErrorObject {
  readonly code: number;
  readonly message: string;
}

export function textOf(reply: Reply): string {
  return Buffer.concat(reply.pieces).toString();
}
