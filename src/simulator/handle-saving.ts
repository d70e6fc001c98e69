/**
 * Handlers of saved memory, and of the jobs that domains are in.
 */
import { SaveFlag } from '../libvirt/enumerations.js';
import type { DomainHandle } from '../libvirt/objects.js';
import type { TypedParam } from '../libvirt/typed-params.js';
import type { Call, Handlers } from './call.js';
import { Fault } from './fault.js';
import { readSaved } from './image-file.js';

/** virDomainJobType. */
const JobType = { none: 0, unbounded: 2 } as const;

/** Whether a flag says how the guest goes on; undefined: as it was. */
function runningOf(flags: number): boolean | undefined {
  const [running, paused] = [(flags & SaveFlag.running) !== 0, (flags & SaveFlag.paused) !== 0];
  if (running && paused) {
    throw new Fault('invalid-argument', 'running and paused flags are mutually exclusive');
  }
  return running ? true : paused ? false : undefined;
}

interface Order {
  readonly path: string;
  readonly xml?: string | undefined;
  readonly flags: number;
}

function save(call: Call, dom: DomainHandle, { path, xml, flags }: Order): Promise<void> | void {
  const domain = call.activeDomain(dom);
  const running = runningOf(flags);
  return call.withChange(domain, () => {
    call.host.lifecycle.requireActive(domain);
    return call.host.memory.save(domain, { path, xml, running });
  });
}

function restore(call: Call, { path, xml, flags }: Order): void {
  call.host.restore(path, { xml, running: runningOf(flags) });
}

/** Typed parameters `file` and `dxml`. */
function orderOf(params: readonly TypedParam[], flags: number): Order {
  const text = (name: string) => {
    const value = params.find(({ field }) => field === name)?.value;
    return typeof value === 'string' ? value : undefined;
  };
  const path = text('file');
  if (path === undefined) throw new Fault('invalid-argument', 'missing file parameter');
  return { path, xml: text('dxml'), flags };
}

export const savingHandlers = {
  DOMAIN_SAVE: (call, { dom, to }) => save(call, dom, { path: to, flags: 0 }),
  DOMAIN_SAVE_FLAGS: (call, { dom, to, xml, flags }) => save(call, dom, { path: to, xml, flags }),
  DOMAIN_SAVE_PARAMS: (call, { dom, params, flags }) => save(call, dom, orderOf(params, flags)),
  DOMAIN_RESTORE: (call, { from }) => restore(call, { path: from, flags: 0 }),
  DOMAIN_RESTORE_FLAGS: (call, { from, xml, flags }) => restore(call, { path: from, xml, flags }),
  DOMAIN_RESTORE_PARAMS: (call, { params, flags }) => restore(call, orderOf(params, flags)),
  DOMAIN_SAVE_IMAGE_GET_XML_DESC: (_call, { file }) => ({ xml: readSaved(file).xml }),
  DOMAIN_ABORT_JOB: (call, { dom }) => call.host.memory.abort(call.activeDomain(dom)),
  DOMAIN_ABORT_JOB_FLAGS: (call, { dom }) => call.host.memory.abort(call.activeDomain(dom)),
} as const satisfies Handlers;

export const jobQueries = {
  DOMAIN_GET_JOB_INFO(call, { dom }) {
    const domain = call.activeDomain(dom);
    return call.withJob(domain, () => {
      const { job } = domain;
      if (!job) return noJob;
      const { elapsedMs, totalBytes, processedBytes } = job;
      const left = totalBytes - processedBytes;
      return {
        ...noJob,
        type: JobType.unbounded,
        timeElapsed: elapsedMs,
        dataTotal: totalBytes,
        dataProcessed: processedBytes,
        dataRemaining: left,
        memTotal: totalBytes,
        memProcessed: processedBytes,
        memRemaining: left,
      };
    });
  },
  DOMAIN_GET_JOB_STATS(call, { dom }) {
    const domain = call.activeDomain(dom);
    return call.withJob(domain, () => ({
      type: domain.job ? JobType.unbounded : JobType.none,
      params: domain.job?.stats() ?? [],
    }));
  },
} as const satisfies Handlers;

const noJob = {
  type: JobType.none as number,
  timeElapsed: 0,
  timeRemaining: 0,
  dataTotal: 0,
  dataProcessed: 0,
  dataRemaining: 0,
  memTotal: 0,
  memProcessed: 0,
  memRemaining: 0,
  fileTotal: 0,
  fileProcessed: 0,
  fileRemaining: 0,
};
