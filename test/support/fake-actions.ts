/**
 * What can happen to a domain of the fake hypervisor: the state it leads to, and libvirt's events in libvirt's order.
 */
import type { DomainState, LifecycleEventName } from '../../src/domain/hypervisor.js';
import type { FakeDomain } from './fake-domain.js';

/** Position is libvirt's number. */
export const stateNumbers = [
  'nostate',
  'running',
  'blocked',
  'paused',
  'shutdown',
  'shutoff',
  'crashed',
  'pmsuspended',
];

type LifecycleStep = readonly [LifecycleEventName, string];
interface Action {
  readonly to: DomainState;
  readonly events: readonly LifecycleStep[];
  readonly allowed: (domain: FakeDomain) => boolean;
}

export const active = (domain: FakeDomain): boolean => domain.active;
const always = (): boolean => true;
const running = ({ state }: FakeDomain): boolean => state.state === 'running';
const paused = ({ state }: FakeDomain): boolean => state.state === 'paused';
const action = (
  state: DomainState['state'],
  reason: string,
  allowed: Action['allowed'],
  ...events: LifecycleStep[]
): Action => ({ to: { state, reason }, allowed, events });

/** What can happen to a domain, by whoever's hand. */
export const actions = {
  start: action('running', 'booted', (d) => !active(d), ['resumed', 'unpaused'], ['started', 'booted']),
  startPaused: action('paused', 'user', (d) => !active(d), ['started', 'booted'], ['suspended', 'paused']),
  suspend: action('paused', 'user', running, ['suspended', 'paused']),
  resume: action('running', 'unpaused', paused, ['resumed', 'unpaused']),
  ioError: action('paused', 'ioerror', running, ['suspended', 'ioerror']),
  powerOff: action('shutoff', 'shutdown', active, ['shutdown', 'guest'], ['stopped', 'shutdown']),
  destroy: action('shutoff', 'destroyed', active, ['shutdown', 'host'], ['stopped', 'destroyed']),
  kill: action('shutoff', 'crashed', active, ['stopped', 'failed']),
  save: action('shutoff', 'saved', active, ['suspended', 'paused'], ['stopped', 'saved']),
  savePaused: action('shutoff', 'saved', active, ['stopped', 'saved']),
  restore: action('running', 'restored', always, ['started', 'restored'], ['resumed', 'from-snapshot']),
  restorePaused: action('paused', 'migration', always, ['started', 'restored'], ['suspended', 'restored']),
  saveFails: action('running', 'save-canceled', running, ['suspended', 'paused'], ['resumed', 'unpaused']),
  snapshotPause: action('paused', 'snapshot', running, ['suspended', 'paused']),
} as const satisfies Record<string, Action>;
export type ActionName = keyof typeof actions;
export const actionNames = Object.keys(actions) as ActionName[];
