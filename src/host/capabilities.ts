/**
 * The answer of Host.getCapabilities, made of facts that were read before. Pure.
 *
 * Types are those that an engine insists on: most numbers are text. What is not known is left out, unless an engine
 * fails without it; nothing is guessed. The few entries that are declarations or policies and no facts are marked.
 */
import { parseVmId } from '../domain/ids.js';
import type { HypervisorHostInfo } from '../domain/hypervisor.js';
import {
  parseCapabilities,
  parseUsableModels,
  type HostCapabilities,
  type NumaCell,
} from './capabilities-xml.js';
import { networkCapabilities, type Addresses, type InterfaceFacts } from './network.js';
import type { CpuinfoEntry } from './proc.js';

export interface CapabilityFacts {
  /** Absent while the hypervisor was never reached. */
  readonly hypervisor: HypervisorHostInfo | undefined;
  readonly packageVersion: string;
  /** `uname -r`. */
  readonly kernelRelease: string;
  readonly cpuinfo: readonly CpuinfoEntry[];
  /** Numbers of the CPUs that are online. */
  readonly onlineCpus: readonly number[];
  readonly memTotalKiB: number | undefined;
  readonly bootTimeSec: number | undefined;
  readonly bootId: string | undefined;
  /** DMI's UUID of the machine; readable for root only. */
  readonly dmiUuid: string | undefined;
  /** Whether the machine has DMI at all. */
  readonly dmiPresent: boolean;
  /** /etc/machine-id. */
  readonly machineId: string | undefined;
  readonly osRelease: ReadonlyMap<string, string>;
  /** Page sizes in KiB. */
  readonly hugePagesKiB: readonly number[];
  /** /proc/sys/kernel/numa_balancing. */
  readonly numaBalancing: number | undefined;
  /** /sys/fs/selinux/enforce; undefined where SELinux is off. */
  readonly selinuxEnforcing: number | undefined;
  readonly fips: boolean;
  /** 1 where a crash kernel is loaded, 0 where not; undefined where the kernel does not tell. */
  readonly crashKernel: number | undefined;
  readonly randomDevice: boolean;
  readonly hwrngDevice: boolean;
  readonly nameservers: readonly string[];
  readonly interfaces: readonly InterfaceFacts[];
  readonly addresses: Addresses;
}

/**
 * Declarations: the cluster levels and engines whose API this agent speaks. And VDSM's default policies, in MiB, which
 * an engine's scheduler computes with: kept for the host (256 + 65), added per VM (65).
 */
const declarations = {
  clusterLevels: ['4.2', '4.3', '4.4', '4.5', '4.6', '4.7', '4.8'],
  supportedENGINEs: ['4.2', '4.3', '4.4', '4.5'],
  reservedMem: '321',
  guestOverhead: '65',
} as const;

export function buildCapabilities(facts: CapabilityFacts): Record<string, unknown> {
  const host = facts.hypervisor && parseCapabilities(facts.hypervisor.capabilitiesXml);
  const models = facts.hypervisor ? parseUsableModels(facts.hypervisor.domainCapabilitiesXml) : [];
  return withoutUndefined({
    ...declarations,
    ...cpuMembers(facts, host, models),
    ...memoryMembers(facts, host),
    ...softwareMembers(facts),
    ...securityMembers(facts),
    ...networkCapabilities(facts.interfaces, facts.addresses),
    nameservers: facts.nameservers,
    uuid: hostUuid(facts, host),
    // Text. False also where the hypervisor was never reached: then no VM can be started here.
    kvmEnabled: String(host?.kvm ?? false),
    vmTypes: ['kvm'],
    // Always present, since an engine fails without it. Empty until the hypervisor was reached.
    emulatedMachines: host?.machines ?? [],
    hostdevPassthrough: host?.iommu === undefined ? undefined : String(host.iommu),
    bootTime: facts.bootTimeSec === undefined ? undefined : String(facts.bootTimeSec),
    boot_uuid: facts.bootId,
    // This agent drives no storage, so it offers no initiators; an engine fails where the member is absent.
    HBAInventory: { iSCSI: [], FC: [] },
    // There are no verbs for either.
    additionalFeatures: [],
    backupEnabled: false,
    // The agent changes no network configuration, so none is unsaved.
    netConfigDirty: 'False',
  });
}

/** libvirt repeats DMI's UUID, but without DMI it makes up another one at each of its starts. */
export function hostUuid(
  facts: Pick<CapabilityFacts, 'dmiUuid' | 'dmiPresent' | 'machineId'>,
  host: Pick<HostCapabilities, 'uuid'> | undefined,
): string | undefined {
  return (
    parseVmId(facts.dmiUuid) ?? (facts.dmiPresent ? host?.uuid : undefined) ?? parseVmId(facts.machineId)
  );
}

function cpuMembers(
  { cpuinfo, onlineCpus }: CapabilityFacts,
  host: HostCapabilities | undefined,
  models: readonly string[],
): Record<string, unknown> {
  const first = cpuinfo[0];
  // A CPU without topology counts as one core of socket 0.
  const sockets = new Set(cpuinfo.map(({ socket }) => socket ?? 0));
  const cores = new Set(
    cpuinfo.map(({ socket, core, processor }) => `${socket ?? 0}:${core ?? `p${processor}`}`),
  );
  return {
    cpuModel: first?.model,
    cpuCores: String(cores.size),
    cpuThreads: String(cpuinfo.length),
    cpuSockets: String(sockets.size),
    // MHz as text; some architectures do not tell.
    cpuSpeed: first?.mhz === '' ? undefined : first?.mhz,
    cpuFlags: [...(first?.flags ?? []), ...models.map((model) => `model_${model}`)].join(','),
    cpuTopology: host?.topology,
    onlineCpus: onlineCpus.join(','),
    tscFrequency: host?.tscFrequency,
    tscScaling: host?.tscFrequency === undefined ? undefined : host.tscScaling,
  };
}

function memoryMembers(facts: CapabilityFacts, host: HostCapabilities | undefined): Record<string, unknown> {
  return {
    // MiB as text.
    memSize: facts.memTotalKiB === undefined ? undefined : mib(facts.memTotalKiB),
    numaNodes: host && byCell(host.cells, ({ cpus, memoryKiB }) => ({ cpus, totalMemory: mib(memoryKiB) })),
    numaNodeDistance: host && byCell(host.cells, ({ distances }) => distances),
    // 0 off, 1 on, 2 not known.
    autoNumaBalancing: facts.numaBalancing === undefined ? 2 : Math.min(facts.numaBalancing, 1),
    hugepages: facts.hugePagesKiB,
  };
}

function softwareMembers({ hypervisor, packageVersion, kernelRelease, osRelease }: CapabilityFacts): object {
  const [kernelVersion = '', ...kernelRest] = kernelRelease.split('-');
  const unreleased = (version: string): object => ({ version, release: '' });
  return {
    software_version: packageVersion,
    operatingSystem: {
      name: osRelease.get('NAME') ?? '',
      version: osRelease.get('VERSION_ID') ?? '',
      release: osRelease.get('VERSION_CODENAME') ?? '',
      pretty_name: osRelease.get('PRETTY_NAME') ?? '',
    },
    // Versions that the programs themselves tell. Package managers are not asked, so releases are not known; the
    // kernel's is part of its name. An engine fails where vdsm is absent: it is this agent.
    packages2: {
      kernel: { version: kernelVersion, release: kernelRest.join('-') },
      vdsm: unreleased(packageVersion),
      ...(hypervisor && {
        'qemu-kvm': unreleased(hypervisor.hypervisorVersion),
        libvirt: unreleased(hypervisor.libraryVersion),
      }),
    },
  };
}

function securityMembers(facts: CapabilityFacts): Record<string, unknown> {
  return {
    selinux: { mode: String(facts.selinuxEnforcing ?? -1) },
    fipsEnabled: facts.fips,
    kdumpStatus: facts.crashKernel ?? -1,
    // Names as an engine knows them: random stands for /dev/urandom too.
    rngSources: [...(facts.randomDevice ? ['random'] : []), ...(facts.hwrngDevice ? ['hwrng'] : [])],
  };
}

function byCell<T>(cells: readonly NumaCell[], show: (cell: NumaCell) => T): Record<string, T> {
  return Object.fromEntries(cells.map((cell) => [String(cell.id), show(cell)]));
}

function mib(kib: number): string {
  return String(Math.floor(kib / 1024));
}

function withoutUndefined(record: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined));
}
