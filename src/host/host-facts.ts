/**
 * What this host is and how it is loaded: reads libvirt's capabilities and the kernel's files, and lets
 * capabilities.ts and host-stats.ts make the answers of it.
 *
 * CPU times are sampled on the agent's own clock; everything else is read when asked. libvirt is asked once per
 * connection and then again when the answer is a minute old. Without libvirt the last answer holds, or what the
 * kernel knows alone.
 */
import { networkInterfaces, release } from 'node:os';
import type { Hypervisor, HypervisorHostInfo } from '../domain/hypervisor.js';
import type { VmSource } from '../domain/vm.js';
import type { Service } from '../util/lifecycle.js';
import type { Logger } from '../util/log.js';
import type { Clock } from '../util/time.js';
import type { HostIdentity } from '../domain/launch-files.js';
import { buildCapabilities, type CapabilityFacts } from './capabilities.js';
import { HostFiles } from './host-files.js';
import { identityOf, qemuOwnerOf, type Owner } from './host-identity.js';
import { buildStats, type HostSample, type KsmFacts, type StatsFacts } from './host-stats.js';
import { readInterfaces, type Addresses } from './network.js';
import {
  integer,
  parseCpuinfo,
  parseCpuList,
  parseMeminfo,
  parseNameservers,
  parseNetDev,
  parseOsRelease,
  parseStat,
  selectedChoice,
} from './proc.js';

export interface HostFactsOptions {
  readonly hypervisor: Pick<Hypervisor, 'hostInfo' | 'addListener'>;
  readonly vms: VmSource;
  readonly clock: Clock;
  readonly log: Logger;
  readonly packageVersion: string;
  readonly procRoot?: string;
  readonly sysRoot?: string;
  readonly devRoot?: string;
  readonly etcRoot?: string;
  /** Default: the running kernel's. */
  readonly kernelRelease?: string;
  /** Default: os.networkInterfaces. */
  readonly addresses?: () => Addresses;
}

type MachineKey =
  | 'cpuinfo'
  | 'onlineCpus'
  | 'memTotalKiB'
  | 'hugePagesKiB'
  | 'numaBalancing'
  | 'dmiUuid'
  | 'dmiPresent'
  | 'machineId';
type SystemKey =
  | 'bootTimeSec'
  | 'bootId'
  | 'osRelease'
  | 'selinuxEnforcing'
  | 'fips'
  | 'crashKernel'
  | 'randomDevice'
  | 'hwrngDevice'
  | 'nameservers';

const SAMPLE_PERIOD_MS = 15_000;
const HOST_INFO_AGE_MS = 60_000;
const HOST_INFO_DEADLINE_MS = 5000;

export class HostFacts implements Service {
  readonly #files: HostFiles;
  /** The newest sample; settles when its file was read. */
  #sample: Promise<HostSample> | undefined;
  #previous: HostSample | undefined;
  #hostInfo: HypervisorHostInfo | undefined;
  /** Monotonic; 0 asks again. */
  #hostInfoUntilMs = 0;
  /** The question that is under way: many who ask at once are one question to libvirt. */
  #asking: Promise<void> | undefined;
  #cancelSampling: (() => void) | undefined;
  #removeListener: (() => void) | undefined;

  constructor(private readonly options: HostFactsOptions) {
    const { procRoot = '/proc', sysRoot = '/sys', devRoot = '/dev', etcRoot = '/etc' } = options;
    this.#files = new HostFiles({ proc: procRoot, sys: sysRoot, dev: devRoot, etc: etcRoot });
  }

  async start(_signal?: AbortSignal): Promise<void> {
    this.#removeListener = this.options.hypervisor.addListener({
      connected: () => (this.#hostInfoUntilMs = 0),
    });
    this.#cancelSampling = this.options.clock.every(SAMPLE_PERIOD_MS, () => void this.#takeSample());
    await this.#takeSample();
  }

  stop(): Promise<void> {
    this.#cancelSampling?.();
    this.#removeListener?.();
    return Promise.resolve();
  }

  /** Host.getCapabilities. Never rejects: what cannot be read is left out. */
  async capabilities(): Promise<Record<string, unknown>> {
    const [hypervisor, machine, system] = await Promise.all([
      this.#readHostInfo(),
      this.#readMachine(),
      this.#readSystem(),
    ]);
    return buildCapabilities({
      hypervisor,
      ...machine,
      ...system,
      packageVersion: this.options.packageVersion,
      kernelRelease: this.options.kernelRelease ?? release(),
      interfaces: await readInterfaces(this.#files),
      addresses: (this.options.addresses ?? networkInterfaces)(),
    });
  }

  /** For the SMBIOS of VMs, as Host.getCapabilities tells it. Never rejects. */
  async identity(): Promise<HostIdentity> {
    const [hypervisor, machine, { osRelease }] = await Promise.all([
      this.#readHostInfo(),
      this.#readMachine(),
      this.#readSystem(),
    ]);
    return identityOf({ ...machine, osRelease }, hypervisor?.capabilitiesXml);
  }

  /** Whom libvirt runs QEMU as; undefined where it does not tell. Never rejects. */
  async qemuOwner(): Promise<Owner | undefined> {
    return qemuOwnerOf((await this.#readHostInfo())?.capabilitiesXml ?? '');
  }

  /** Host.getStats. Never rejects. */
  async stats(): Promise<Record<string, unknown>> {
    const sample = await (this.#sample ?? this.#takeSample());
    const files = this.#files;
    return buildStats({
      sample,
      previous: this.#previous,
      meminfo: parseMeminfo((await files.text('proc', 'meminfo')) ?? ''),
      loadavg: (await files.line('proc', 'loadavg')) ?? '',
      interfaces: await readInterfaces(files),
      ksm: await this.#readKsm(),
      thpState: selectedChoice((await files.text('sys', 'kernel/mm/transparent_hugepage/enabled')) ?? ''),
      hugePages: await this.#readHugePages(),
      ...(await this.#readNodes()),
      vms: this.options.vms.all(),
      wallMs: this.options.clock.wallMs(),
      // The stamp before the counters, as everywhere.
      nowMs: this.options.clock.nowMs(),
      netCounters: parseNetDev((await files.text('proc', 'net/dev')) ?? ''),
    });
  }

  async #takeSample(): Promise<HostSample> {
    const before = this.#sample;
    this.#sample = this.#readSample();
    this.#previous = await before;
    return this.#sample;
  }

  async #readSample(): Promise<HostSample> {
    const atMs = this.options.clock.nowMs();
    return { atMs, stat: parseStat((await this.#files.text('proc', 'stat')) ?? '') };
  }

  async #readHostInfo(): Promise<HypervisorHostInfo | undefined> {
    if (this.options.clock.nowMs() >= this.#hostInfoUntilMs) {
      await (this.#asking ??= this.#askHostInfo().finally(() => (this.#asking = undefined)));
    }
    return this.#hostInfo;
  }

  async #askHostInfo(): Promise<void> {
    const { clock, hypervisor, log } = this.options;
    const nowMs = clock.nowMs();
    try {
      this.#hostInfo = await hypervisor.hostInfo({ deadlineMs: HOST_INFO_DEADLINE_MS });
      this.#hostInfoUntilMs = nowMs + HOST_INFO_AGE_MS;
    } catch (error) {
      log.info({ reason: (error as Error).message }, 'the capabilities are without what libvirt would tell');
    }
  }

  async #readMachine(): Promise<Pick<CapabilityFacts, MachineKey>> {
    const files = this.#files;
    const cpuinfo = parseCpuinfo((await files.text('proc', 'cpuinfo')) ?? '');
    const online = await files.text('sys', 'devices/system/cpu/online');
    return {
      cpuinfo,
      onlineCpus: online === undefined ? cpuinfo.map(({ processor }) => processor) : parseCpuList(online),
      memTotalKiB: parseMeminfo((await files.text('proc', 'meminfo')) ?? '').get('MemTotal'),
      hugePagesKiB: Object.keys(await this.#readHugePages()).map(Number),
      numaBalancing: integer(await files.line('proc', 'sys/kernel/numa_balancing')),
      dmiUuid: await files.line('sys', 'class/dmi/id/product_uuid'),
      dmiPresent: await files.exists('sys', 'class/dmi/id'),
      machineId: await files.line('etc', 'machine-id'),
    };
  }

  async #readSystem(): Promise<Pick<CapabilityFacts, SystemKey>> {
    const files = this.#files;
    return {
      bootTimeSec: parseStat((await files.text('proc', 'stat')) ?? '').bootTimeSec,
      bootId: await files.line('proc', 'sys/kernel/random/boot_id'),
      osRelease: parseOsRelease((await files.text('etc', 'os-release')) ?? ''),
      selinuxEnforcing: integer(await files.line('sys', 'fs/selinux/enforce')),
      fips: (await files.line('proc', 'sys/crypto/fips_enabled')) === '1',
      crashKernel: integer(await files.line('sys', 'kernel/kexec_crash_loaded')),
      randomDevice: await files.exists('dev', 'urandom'),
      hwrngDevice: await files.exists('dev', 'hwrng'),
      nameservers: parseNameservers((await files.text('etc', 'resolv.conf')) ?? ''),
    };
  }

  async #readKsm(): Promise<KsmFacts | undefined> {
    const number = async (name: string): Promise<number | undefined> =>
      integer(await this.#files.line('sys', `kernel/mm/ksm/${name}`));
    const run = await number('run');
    if (run === undefined) return undefined;
    const [pagesToScan = 0, pagesSharing = 0] = [
      await number('pages_to_scan'),
      await number('pages_sharing'),
    ];
    return { running: run === 1, pagesToScan, pagesSharing };
  }

  async #readHugePages(): Promise<Record<string, Record<string, number>>> {
    const sizes: Record<string, Record<string, number>> = {};
    for (const folder of await this.#files.list('sys', 'kernel/mm/hugepages')) {
      const size = /^hugepages-(\d+)kB$/.exec(folder)?.[1];
      if (size === undefined) continue;
      const counters: Record<string, number> = {};
      for (const name of await this.#files.list('sys', `kernel/mm/hugepages/${folder}`)) {
        const value = integer(await this.#files.line('sys', `kernel/mm/hugepages/${folder}/${name}`));
        if (value !== undefined) counters[name] = value;
      }
      sizes[size] = counters;
    }
    return sizes;
  }

  async #readNodes(): Promise<Pick<StatsFacts, 'nodes' | 'nodeOfCpu'>> {
    const nodes = new Map<number, ReadonlyMap<string, number>>();
    const nodeOfCpu = new Map<number, number>();
    for (const name of await this.#files.list('sys', 'devices/system/node')) {
      const node = integer(/^node(\d+)$/.exec(name)?.[1]);
      if (node === undefined) continue;
      const folder = `devices/system/node/${name}`;
      nodes.set(node, parseMeminfo((await this.#files.text('sys', `${folder}/meminfo`)) ?? ''));
      const cpus = parseCpuList((await this.#files.text('sys', `${folder}/cpulist`)) ?? '');
      for (const cpu of cpus) nodeOfCpu.set(cpu, node);
    }
    return { nodes, nodeOfCpu };
  }
}
