/**
 * What getCapabilities needs of libvirt's two capability documents. Pure. A document that is absent or broken gives
 * undefined, and members that it does not have are empty: the answer is then reduced, never wrong.
 */
import { XMLParser } from 'fast-xml-parser';
import { integer } from './proc.js';

export interface CpuPlace {
  readonly cpu_id: number;
  readonly socket_id: number;
  readonly die_id: number;
  readonly core_id: number;
  readonly numa_cell_id: number;
}

export interface NumaCell {
  readonly id: number;
  readonly memoryKiB: number;
  readonly cpus: readonly number[];
  /** To each cell, in the order of the document; empty where it tells none. */
  readonly distances: readonly number[];
}

export interface HostCapabilities {
  readonly uuid: string | undefined;
  readonly arch: string | undefined;
  readonly tscFrequency: string | undefined;
  readonly tscScaling: boolean;
  readonly iommu: boolean | undefined;
  /** Machine types of the host's own architecture, aliases included. */
  readonly machines: readonly string[];
  /** Domains of the host's own architecture may use KVM. */
  readonly kvm: boolean;
  readonly cells: readonly NumaCell[];
  /** Undefined where the place of any CPU is not told: half a table is worse than none. */
  readonly topology: readonly CpuPlace[] | undefined;
}

/** Nodes that occur once or often, so that they are always arrays. */
const REPEATED = new Set([
  'guest',
  'machine',
  'domain',
  'cell',
  'cpu',
  'counter',
  'sibling',
  'mode',
  'model',
]);

interface Node {
  readonly [name: string]: Node | Node[] | string | undefined;
}

const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: '@',
  textNodeName: '#',
  alwaysCreateTextNode: true,
  parseTagValue: false,
  parseAttributeValue: false,
  processEntities: false,
  isArray: (name, _path, _isLeaf, isAttribute) => !isAttribute && REPEATED.has(name),
});

export function parseCapabilities(xml: string): HostCapabilities | undefined {
  const root = parse(xml, 'capabilities');
  if (!root) return undefined;
  const host = one(root, 'host');
  const cpu = many(host, 'cpu')[0];
  const arch = text(one(cpu, 'arch'));
  const guests = many(root, 'guest').map((guest) => one(guest, 'arch'));
  const native = guests.filter((guest) => attribute(guest, 'name') === arch);
  const cells = many(one(one(host, 'topology'), 'cells'), 'cell');
  const tsc = many(cpu, 'counter').find((counter) => attribute(counter, 'name') === 'tsc');
  const iommu = attribute(one(host, 'iommu'), 'support');
  return {
    uuid: text(one(host, 'uuid')),
    arch,
    tscFrequency: attribute(tsc, 'frequency'),
    tscScaling: attribute(tsc, 'scaling') === 'yes',
    iommu: iommu === undefined ? undefined : iommu === 'yes',
    machines: [
      ...new Set(native.flatMap((guest) => many(guest, 'machine').flatMap((each) => text(each) ?? []))),
    ],
    kvm: native.some((guest) => many(guest, 'domain').some((domain) => attribute(domain, 'type') === 'kvm')),
    cells: cells.map(numaCell),
    topology: topology(cells),
  };
}

/** CPU models that the hypervisor says are usable on this host, from the domain capabilities. */
export function parseUsableModels(xml: string): string[] {
  const modes = many(many(parse(xml, 'domainCapabilities'), 'cpu')[0], 'mode');
  const custom = modes.find((mode) => attribute(mode, 'name') === 'custom');
  return many(custom, 'model').flatMap((model) =>
    attribute(model, 'usable') === 'yes' ? (text(model) ?? []) : [],
  );
}

function numaCell(cell: Node): NumaCell {
  return {
    id: integer(attribute(cell, 'id')) ?? 0,
    memoryKiB: integer(text(one(cell, 'memory'))) ?? 0,
    cpus: many(one(cell, 'cpus'), 'cpu').flatMap((cpu) => integer(attribute(cpu, 'id')) ?? []),
    distances: many(one(cell, 'distances'), 'sibling').flatMap(
      (each) => integer(attribute(each, 'value')) ?? [],
    ),
  };
}

function topology(cells: readonly Node[]): CpuPlace[] | undefined {
  const places: CpuPlace[] = [];
  for (const cell of cells) {
    const numa_cell_id = integer(attribute(cell, 'id'));
    for (const cpu of many(one(cell, 'cpus'), 'cpu')) {
      const [cpu_id, socket_id, core_id] = ['id', 'socket_id', 'core_id'].map((key) =>
        integer(attribute(cpu, key)),
      );
      if (cpu_id === undefined || socket_id === undefined || core_id === undefined) return undefined;
      if (numa_cell_id === undefined) return undefined;
      places.push({
        cpu_id,
        socket_id,
        die_id: integer(attribute(cpu, 'die_id')) ?? 0,
        core_id,
        numa_cell_id,
      });
    }
  }
  return places.length > 0 ? places : undefined;
}

function parse(xml: string, root: string): Node | undefined {
  if (xml === '') return undefined;
  try {
    return one(parser.parse(xml) as Node, root);
  } catch {
    return undefined;
  }
}

function many(node: Node | undefined, name: string): Node[] {
  const found = node?.[name];
  return Array.isArray(found) ? found : [];
}

function one(node: Node | undefined, name: string): Node | undefined {
  const found = node?.[name];
  const first = Array.isArray(found) ? found[0] : found;
  return typeof first === 'object' ? first : undefined;
}

function text(node: Node | undefined): string | undefined {
  const value = node?.['#'];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function attribute(node: Node | undefined, name: string): string | undefined {
  const value = node?.[`@${name}`];
  return typeof value === 'string' ? value : undefined;
}
