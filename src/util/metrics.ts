/**
 * Every metric of the agent in one table, over prom-client. Parts get a `Metrics` object passed in.
 *
 * Adding one: a row in the table; TypeScript then knows its name. Names are without the `vdsm_agent_` prefix.
 */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

const seconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const startSeconds = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600];

/** How often the event loop's lag is probed: at prom-client's 10 ms it costs 1 % of a core, more than all else. */
const LAG_PRECISION_MS = 100;

interface MetricSpec {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels?: readonly string[];
  readonly buckets?: readonly number[];
}

const table = {
  // libvirt
  libvirt_connected: { type: 'gauge', help: '1 while the connection of the lane is open', labels: ['lane'] },
  libvirt_reconnects_total: {
    type: 'counter',
    help: 'Connections re-established after a loss',
    labels: ['lane'],
  },
  libvirt_set_aside_total: {
    type: 'counter',
    help: 'Connections replaced by fresh ones because calls on them hang',
    labels: ['lane'],
  },
  libvirt_calls_total: { type: 'counter', help: 'Finished calls', labels: ['lane', 'result'] },
  libvirt_call_seconds: { type: 'histogram', help: 'Duration of calls', labels: ['lane'], buckets: seconds },
  libvirt_late_replies_total: { type: 'counter', help: 'Answers that came after their caller had given up' },
  libvirt_lost_replies_total: {
    type: 'counter',
    help: 'Calls given up whose replies will not come: nothing is left that they could hang in',
  },
  libvirt_late_stream_packets_total: {
    type: 'counter',
    help: 'Packets of streams that came after their caller had given up',
  },
  libvirt_malformed_total: {
    type: 'counter',
    help: 'Packets that could not be decoded, by kind',
    labels: ['kind'],
  },
  libvirt_unknown_total: {
    type: 'counter',
    help: 'Well-formed packets that nobody expected',
    labels: ['kind'],
  },
  libvirt_events_total: { type: 'counter', help: 'Domain events received', labels: ['kind'] },
  stats_layout_misses_total: {
    type: 'counter',
    help: 'Bulk records decoded without help of the predicted layout',
  },
  // vms
  vms: { type: 'gauge', help: 'VMs by reported status', labels: ['status'] },
  vm_transitions_total: { type: 'counter', help: 'Status changes', labels: ['to'] },
  vm_events_unknown_total: { type: 'counter', help: 'Events for domains that are not in the registry' },
  reconcile_corrections_total: { type: 'counter', help: 'Differences found by the periodic compare' },
  vm_starts_waiting: { type: 'gauge', help: 'Accepted VMs that wait for their start' },
  vm_starts_running: { type: 'gauge', help: 'VMs that are being started' },
  vm_start_wait_seconds: {
    type: 'histogram',
    help: 'From the acceptance of a VM to the beginning of its start',
    buckets: startSeconds,
  },
  vm_start_seconds: {
    type: 'histogram',
    help: 'From the beginning of a start to its end',
    labels: ['result'],
    buckets: startSeconds,
  },
  metadata_writes_total: {
    type: 'counter',
    help: 'Records of VMs in their metadata: written, to be tried again, given up',
    labels: ['result'],
  },
  merges_total: { type: 'counter', help: 'Merges of disk files that have ended', labels: ['result'] },
  guests_left_frozen_total: { type: 'counter', help: 'Guests that could not be thawed' },
  guest_agent_commands_total: {
    type: 'counter',
    help: 'Commands to guest agents, by result: ok, silent, refused (answered with an error), unasked',
    labels: ['command', 'result'],
  },
  guest_agents_silent: { type: 'gauge', help: 'Connected guest agents that did not answer the last command' },
  // sampler
  sampler_ticks_total: { type: 'counter', help: 'Sampling cycles', labels: ['result'] },
  sampler_tick_seconds: { type: 'histogram', help: 'Wall time of one cycle', buckets: seconds },
  sampler_late_vms_total: { type: 'counter', help: 'VM samples not received within a cycle' },
  sampler_late_vms: {
    type: 'gauge',
    help: 'VMs whose sample is older than it should be, without quarantined ones',
  },
  sampler_quarantined_vms: { type: 'gauge', help: 'VMs whose QEMU does not answer and is left alone' },
  sampler_quarantines_total: { type: 'counter', help: 'VMs put into quarantine', labels: ['why'] },
  sampler_probes_total: { type: 'counter', help: 'Calls that asked a quarantined VM again' },
  sampler_stuck_calls: { type: 'gauge', help: 'Calls that hang in libvirt, each holding one of its workers' },
  sampler_withheld_vms_total: {
    type: 'counter',
    help: 'VM samples not asked for, because too many calls hang or the VM showed no life',
  },
  sampler_skipped_rounds_total: {
    type: 'counter',
    help: 'Rounds of monitor-backed calls left out because libvirt as a whole was slow',
  },
  sampler_dropped_batches_total: { type: 'counter', help: 'Answers dropped because they came too late' },
  sampler_counter_resets_total: { type: 'counter', help: 'Counters that went backwards' },
  sampler_oldest_sample_seconds: { type: 'gauge', help: 'Age of the oldest sample of a running VM' },
  internal_faults_total: {
    type: 'counter',
    help: 'Errors of the agent itself that were caught where they could harm one request, event or listener only',
    labels: ['part'],
  },
  event_loop_stall_seconds: {
    type: 'histogram',
    help: 'How long the event loop stood still, from 5 ms on',
    buckets: seconds,
  },
  // api and transport
  sessions: { type: 'gauge', help: 'Open WebSocket sessions' },
  sessions_closed_total: { type: 'counter', help: 'Closed sessions', labels: ['reason'] },
  requests_total: { type: 'counter', help: 'Requests by verb and result', labels: ['verb', 'result'] },
  request_seconds: { type: 'histogram', help: 'Duration of requests', labels: ['verb'], buckets: seconds },
  requests_malformed_total: {
    type: 'counter',
    help: 'Messages that were no valid request',
    labels: ['kind'],
  },
  events_published_total: { type: 'counter', help: 'Events given a sequence number' },
  events_resumed_total: { type: 'counter', help: 'Resumptions by outcome', labels: ['outcome'] },
  event_holds_expired_total: { type: 'counter', help: 'Holds on events that their holder never released' },
  sessions_paused_total: {
    type: 'counter',
    help: 'Times a session was not read for a while, because it had too much in flight or unsent',
  },
  connections_refused_total: {
    type: 'counter',
    help: 'Refused TLS handshakes and WebSocket upgrades',
    labels: ['reason'],
  },
} as const satisfies Record<string, MetricSpec>;

type Table = typeof table;
type Instrument<S extends MetricSpec> = S['type'] extends 'counter'
  ? Counter
  : S['type'] extends 'gauge'
    ? Gauge
    : Histogram;
export type Metrics = { readonly [N in keyof Table]: Instrument<Table[N]> } & {
  /** Prometheus text of everything. */
  text(): Promise<string>;
  readonly contentType: string;
};

/** @param processMetrics also collect prom-client's process and Node metrics */
export function createMetrics(processMetrics = false): Metrics {
  const registry = new Registry();
  const instruments: Record<string, Counter | Gauge | Histogram> = {};
  for (const [name, spec] of Object.entries(table) as [string, MetricSpec][]) {
    const common = {
      name: `vdsm_agent_${name}`,
      help: spec.help,
      labelNames: [...(spec.labels ?? [])],
      registers: [registry],
    };
    instruments[name] =
      spec.type === 'counter'
        ? new Counter(common)
        : spec.type === 'gauge'
          ? new Gauge(common)
          : new Histogram({ ...common, buckets: [...(spec.buckets ?? seconds)] });
  }
  if (processMetrics)
    collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LAG_PRECISION_MS });
  return {
    ...instruments,
    text: () => registry.metrics(),
    contentType: registry.contentType,
  } as unknown as Metrics;
}
