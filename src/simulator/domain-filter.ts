/** Which domains a list or a bulk call with filter flags means. Bits of one kind are or-ed, kinds are and-ed. */
import { State } from './domain.js';
import type { SimulatedDomain } from './domain.js';

const Filter = {
  active: 1,
  inactive: 2,
  persistent: 4,
  transient: 8,
  running: 16,
  paused: 32,
  shutoff: 64,
  other: 128,
  managedSave: 0x100,
  noManagedSave: 0x200,
  autostart: 0x400,
  noAutostart: 0x800,
  snapshot: 0x1000,
  noSnapshot: 0x2000,
  checkpoint: 0x4000,
  noCheckpoint: 0x8000,
} as const;

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
