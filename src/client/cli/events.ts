/**
 * `vdsm-client events`: follows an agent's events until Ctrl-C, over reconnections.
 *
 * Events go to standard output, one line each: readable on a terminal, JSON on a pipe. What happens to the connection
 * goes to standard error. Where the agent could not say what was missed, the differences of its snapshot are printed
 * instead, marked as such.
 */
import { systemClock } from '../../util/time.js';
import type { Clock } from '../../util/time.js';
import type { AgentEventMessage } from '../client.js';
import { VmMonitor } from '../vm-monitor.js';
import type { VmMonitorListener } from '../vm-monitor.js';
import type { VmChange } from '../vm-table.js';
import type { Target } from './target.js';
import { paint, statusColour } from './io.js';
import type { CliIo } from './io.js';

/** @throws the first connection's error; later ones are retried for ever */
export async function followEvents(io: CliIo, target: Target, clock: Clock = systemClock): Promise<void> {
  const monitor = new VmMonitor(target.address, {
    pollIntervalMs: 0,
    callTimeoutMs: target.timeoutMs,
    clock,
  });
  const failure = new Promise<Error | undefined>((resolve) => {
    monitor.addListener(printer(io, target, clock, resolve));
    if (io.interrupted.aborted) resolve(undefined);
    else io.interrupted.addEventListener('abort', () => resolve(undefined), { once: true });
  });
  monitor.start();
  const error = await failure;
  await monitor.stop();
  if (error) throw error;
}

function printer(io: CliIo, target: Target, clock: Clock, fail: (error: Error) => void): VmMonitorListener {
  let connections = 0;
  let lastError = '';
  const asJson = !io.out.isTerminal;
  const note = (text: string): void => io.err.write(`vdsm-client: ${paint(io.err, 'dim', text)}\n`);
  const print = (line: EventLine): void => {
    const stamped = { time: new Date(clock.wallMs()).toISOString(), ...line };
    io.out.write(asJson ? `${JSON.stringify(stamped)}\n` : `${eventText(stamped, io)}\n`);
  };
  return {
    event: (event) => eventLines(event).forEach(print),
    change: (change) => {
      if (change.source === 'snapshot' && connections > 0) print(snapshotLine(change));
    },
    synchronised: ({ resumed, missed }) => {
      lastError = '';
      if (connections++ === 0) note(`following events of ${target.address}; Ctrl-C ends`);
      else if (resumed) note(`connected again, nothing lost: ${missed} events were missed and follow`);
      else note('connected again; missed events are unknown, so the differences of status are shown');
    },
    disconnected: ({ error, retryInMs }) => {
      if (connections === 0) fail(error);
      // Said once per reason: a host may be away for hours.
      else if (error.message !== lastError) note(`${error.message}; next attempt in ${retryInMs / 1000} s`);
      lastError = error.message;
    },
  };
}

export interface EventLine {
  /** Or of what else the event is about, e.g. a job. */
  readonly vmId: string;
  readonly status: string;
  /** The topic's third part where it is not VM_status. */
  readonly topic?: string;
  /** True: no event, but a difference found when connecting again. */
  readonly snapshot?: true;
  readonly details: Readonly<Record<string, unknown>>;
}

export function eventLines({ method, params, seq }: AgentEventMessage): EventLine[] {
  const [, space, topic = method, id = ''] = method.split('|');
  if (space !== 'virt') {
    const { status, id: _same, ...details } = params;
    const name = `${space ?? ''} ${topic}`.trim();
    const text = typeof status === 'string' ? status : '';
    return [
      { vmId: id, status: text, topic: name, details: { ...details, ...(seq !== undefined && { seq }) } },
    ];
  }
  return Object.entries(params).flatMap(([vmId, payload]): EventLine[] => {
    if (vmId === 'notify_time') return [];
    const fields =
      typeof payload === 'object' && payload !== null
        ? (payload as Record<string, unknown>)
        : { value: payload };
    const { status, vmId: _same, ...rest } = fields;
    const numbers = { notify_time: params['notify_time'], ...(seq === undefined ? {} : { seq }) };
    return [
      {
        vmId,
        status: typeof status === 'string' ? status : '',
        ...(topic === 'VM_status' ? {} : { topic }),
        details: { ...rest, ...numbers },
      },
    ];
  });
}

function snapshotLine({ vmId, to, fields }: VmChange): EventLine {
  const { status: _status, vmId: _same, ...details } = fields;
  return { vmId, status: to ?? 'gone', snapshot: true, details };
}

/** `12:01:59.123  <vmId>  Paused  pauseCode=ENOSPC`; members that only programs need are left out. */
function eventText(line: EventLine & { readonly time: string }, io: CliIo): string {
  const hidden = new Set(['notify_time', 'seq', 'statusTime', 'displayInfo', 'hash']);
  const details = Object.entries(line.details)
    .filter(([name, value]) => !hidden.has(name) && !isEmpty(value))
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  const what = [line.topic, line.status].filter(Boolean).join(' ');
  return [
    paint(io.out, 'dim', line.time.slice(11, 23)),
    line.vmId,
    paint(io.out, statusColour(line.status), what.padEnd(16)),
    ...(line.snapshot ? ['(found when connecting again)'] : []),
    ...details,
  ]
    .join('  ')
    .trimEnd();
}

function isEmpty(value: unknown): boolean {
  return value === '' || JSON.stringify(value) === '{}';
}
