/** Which domains a list or a bulk call with filter flags means. Bits of one kind are or-ed, kinds are and-ed. */
import { ListFlag as Filter } from '../libvirt/enumerations.js';
import { State } from './domain.js';
import type { SimulatedDomain } from './domain.js';

const stateBits: ReadonlyMap<number, number> = new Map<number, number>([
  [State.running, Filter.running],
  [State.paused, Filter.paused],
  [State.shutoff, Filter.shutoff],
]);

/** Of each kind: all its bits, and the one that a domain has. */
const kinds: readonly (readonly [number, (domain: SimulatedDomain) => number])[] = [
  [Filter.active | Filter.inactive, (domain) => (domain.active ? Filter.active : Filter.inactive)],
  [
    Filter.persistent | Filter.transient,
    (domain) => (domain.persistent ? Filter.persistent : Filter.transient),
  ],
  [
    Filter.running | Filter.paused | Filter.shutoff | Filter.other,
    (domain) => stateBits.get(domain.state) ?? Filter.other,
  ],
  [Filter.managedSave | Filter.noManagedSave, () => Filter.noManagedSave],
  [
    Filter.autostart | Filter.noAutostart,
    (domain) => (domain.autostart ? Filter.autostart : Filter.noAutostart),
  ],
  [Filter.snapshot | Filter.noSnapshot, () => Filter.noSnapshot],
  [Filter.checkpoint | Filter.noCheckpoint, () => Filter.noCheckpoint],
];

export function passesFilter(domain: SimulatedDomain, flags: number): boolean {
  return kinds.every(([bits, own]) => (flags & bits) === 0 || (flags & own(domain)) !== 0);
}
