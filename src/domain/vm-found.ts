/**
 * From the hypervisor's words to causes of the state machine: lifecycle events, and states found when reading.
 * Pure tables; details and reasons are the names of the port (hypervisor.ts).
 */
import type { DomainState, LifecycleEventName } from './hypervisor.js';
import type { CauseName } from './vm-transitions.js';

const lifecycleCauses: Readonly<Partial<Record<LifecycleEventName, Readonly<Record<string, CauseName>>>>> = {
  suspended: {
    paused: 'suspended',
    migrated: 'suspended-migrated',
    ioerror: 'suspended-io-error',
    watchdog: 'suspended-watchdog',
    restored: 'suspended-restored',
    'from-snapshot': 'suspended-snapshot',
    'api-error': 'suspended-api-error',
    postcopy: 'suspended-postcopy',
    'postcopy-failed': 'postcopy-failed',
  },
  resumed: {
    unpaused: 'resumed',
    migrated: 'resumed-migrated',
    'from-snapshot': 'resumed',
    postcopy: 'resumed-postcopy',
    'postcopy-failed': 'resumed-postcopy',
  },
  shutdown: { guest: 'shutdown-by-guest', host: 'shutdown-by-host' },
  stopped: {
    shutdown: 'stopped-shutdown',
    destroyed: 'stopped-destroyed',
    crashed: 'stopped-crashed',
    migrated: 'stopped-migrated',
    saved: 'stopped-saved',
    failed: 'stopped-failed',
    'from-snapshot': 'stopped-snapshot',
  },
};

/**
 * The cause that a lifecycle event is. Undefined: the event alone does not say what became of the VM (it was started,
 * the guest crashed, an unknown detail ...); its state has to be read.
 */
export function causeOfLifecycle(event: LifecycleEventName, detail: string): CauseName | undefined {
  return lifecycleCauses[event]?.[detail];
}

const shutOffCauses: Readonly<Record<string, CauseName>> = {
  shutdown: 'found-shutdown',
  destroyed: 'found-destroyed',
  migrated: 'found-migrated',
  saved: 'found-saved',
  failed: 'found-failed',
  crashed: 'found-crashed',
  // libvirt ended it itself, since it could not take it over when it was restarted.
  daemon: 'found-crashed',
};

const pausedCauses: Readonly<Record<string, readonly CauseName[]>> = {
  ioerror: ['found-io-error'],
  postcopy: ['found-paused', 'suspended-postcopy'],
  'postcopy-failed': ['found-paused', 'suspended-postcopy', 'postcopy-failed'],
  'shutting-down': ['found-paused', 'shutdown-by-guest'],
};

/** A job that holds the whole VM: port name of the job to the cause it is. */
const jobCauses: Readonly<Record<string, CauseName>> = {
  'migration-out': 'migration-begun',
  'migration-in': 'found-incoming',
  save: 'save-begun',
};

/** True where a QEMU process stands behind the state. */
export function isActive(state: DomainState): boolean {
  return state.state !== 'shutoff' && state.state !== 'nostate';
}

/** True while libvirt is bringing the domain up: nothing to be concluded yet. */
export function isStarting(state: DomainState): boolean {
  return state.state === 'paused' && state.reason === 'starting-up';
}

/**
 * The causes, in order, that bring a record to what was found.
 *
 * @param job the active job's operation, where it was read
 */
export function causesOfFound(state: DomainState, job?: string): readonly CauseName[] {
  const ofJob = job === undefined ? undefined : jobCauses[job];
  const ofState = causesOfState(state);
  return ofJob && isActive(state) ? [...ofState, ofJob] : ofState;
}

function causesOfState({ state, reason }: DomainState): readonly CauseName[] {
  switch (state) {
    case 'running':
    case 'blocked':
    case 'pmsuspended':
      return ['found-running'];
    case 'paused':
      return reason === 'starting-up' ? [] : (pausedCauses[reason] ?? ['found-paused']);
    case 'shutdown':
      return ['found-running', 'shutdown-by-guest'];
    case 'crashed':
      // The guest panicked and its QEMU is kept for a look: no CPU runs.
      return ['found-paused'];
    case 'shutoff':
      return [shutOffCauses[reason] ?? 'found-off'];
    case 'nostate':
      return [];
  }
}
