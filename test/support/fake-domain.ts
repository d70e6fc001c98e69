/**
 * Domains of the fake hypervisor: what libvirt keeps of each, and XML for tests.
 *
 * Invariant: an active domain has live XML, a persistent one a definition, and each has one of them.
 */
import type { DomainDescription } from '../../src/domain/devices.js';
import { HypervisorError } from '../../src/domain/hypervisor.js';
import type { DiskError, DomainState, HypervisorHostInfo } from '../../src/domain/hypervisor.js';
import type { BlockJob } from '../../src/domain/hypervisor-verbs.js';
import type { VmId } from '../../src/domain/ids.js';
import { parseDomainXml } from '../../src/libvirt/domain-xml.js';
import { xmlElement } from '../../src/util/xml-edit.js';
import { edited, parsedForEdit, startedXml } from './fake-xml.js';

export class FakeDomain {
  live: string | undefined;
  job?: string;
  diskErrors: DiskError[] = [];
  vcpuQuota = -1;
  vcpuPeriod = 100_000;
  /** By target. */
  readonly blockJobs = new Map<string, BlockJob>();
  /** Sizes that disks were given, bytes, by target. */
  readonly capacities = new Map<string, number>();
  #state: DomainState = { state: 'shutoff', reason: 'unknown' };

  constructor(
    readonly id: VmId,
    readonly name: string,
    public definition: string | undefined,
  ) {}

  get state(): DomainState {
    return this.#state;
  }

  /** Starting makes live XML of the definition; stopping forgets it with all that a QEMU has. */
  set state(state: DomainState) {
    const was = this.active;
    this.#state = state;
    if (this.active === was) return;
    this.live = this.active ? (this.live ?? startedXml(this.xml)) : undefined;
    delete this.job;
    this.blockJobs.clear();
    this.vcpuQuota = -1;
    this.vcpuPeriod = 100_000;
  }

  /** Its next start, which must follow, is from this XML instead of the definition. */
  startFrom(xml: string): void {
    this.live = startedXml(xml);
  }

  get active(): boolean {
    return this.#state.state !== 'shutoff';
  }

  get persistent(): boolean {
    return this.definition !== undefined;
  }

  /** Of memory statistics; setting 0 takes it away. */
  get balloonPeriodSec(): number | undefined {
    return describeXml(this.xml).balloonPeriodSec;
  }

  set balloonPeriodSec(seconds: number | undefined) {
    this.live = edited(this.xml, (live) => {
      const balloon = live.child('devices')?.child('memballoon');
      if (balloon) balloon.nodes = seconds ? [xmlElement('stats', { period: String(seconds) })] : [];
    });
  }

  /** The live one where it runs. */
  get xml(): string {
    return this.live ?? this.definition ?? '';
  }
}

export interface DomainXmlOptions {
  readonly managed?: boolean;
  readonly launchPaused?: boolean;
  readonly exitReason?: number;
  readonly startTime?: number;
  readonly destroyOnReboot?: boolean;
  readonly balloon?: boolean;
  readonly channel?: string;
  /** More elements of `<ovirt-vm:vm>`, with their prefixes. */
  readonly metadata?: string;
  /** More devices. */
  readonly devices?: string;
}

/** The id of the n-th domain of a test. */
export function fakeId(n: number): VmId {
  return `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}` as VmId;
}

/** A domain of 1 GiB with up to 4 vCPUs, one of them online, and a disk. */
export function domainXml(id: VmId, name: string, options: DomainXmlOptions = {}): string {
  const value = (tag: string, content: string | number | boolean | undefined): string =>
    content === undefined ? '' : `<ovirt-vm:${tag}>${String(content)}</ovirt-vm:${tag}>`;
  const metadata =
    (options.managed ?? true)
      ? `<metadata xmlns:ovirt-vm="http://ovirt.org/vm/1.0"><ovirt-vm:vm>${value('launchPaused', options.launchPaused)}` +
        `${value('startTime', options.startTime)}${exitOf(options.exitReason, value)}` +
        `${value('destroy_on_reboot', options.destroyOnReboot)}${options.metadata ?? ''}</ovirt-vm:vm></metadata>`
      : '';
  const channel =
    options.channel === undefined
      ? ''
      : `<channel type='unix'><target type='virtio' name='${options.channel}'/></channel>`;
  const balloon = options.balloon ? `<memballoon model='virtio'/>` : '';
  const disk =
    `<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/images/vda'/>` +
    `<target dev='vda' bus='virtio'/><alias name='ua-disk'/></disk>`;
  return (
    `<domain type='kvm'><name>${name}</name><uuid>${id}</uuid>${metadata}<memory unit='KiB'>1048576</memory>` +
    `<currentMemory unit='KiB'>1048576</currentMemory><vcpu current='1'>4</vcpu><features><acpi/></features>` +
    `<devices>${disk}${channel}${balloon}${options.devices ?? ''}</devices></domain>`
  );
}

function exitOf(
  reason: number | undefined,
  value: (tag: string, content: string | number) => string,
): string {
  if (reason === undefined) return '';
  return value('exitCode', 0) + value('exitReason', reason) + value('exitMessage', 'as the metadata says');
}

/** @throws HypervisorError 'failed' for what is no domain */
export function describeXml(xml: string): DomainDescription {
  try {
    parsedForEdit(xml);
    return parseDomainXml(xml);
  } catch (error) {
    if (error instanceof HypervisorError) throw error;
    throw new HypervisorError('failed', `XML error: ${(error as Error).message}`, { cause: error });
  }
}

export const fakeHost: HypervisorHostInfo = {
  hypervisorType: 'QEMU',
  hypervisorVersion: '7.2.0',
  libraryVersion: '9.0.0',
  hostname: 'fake',
  uri: 'fake:///',
  node: {
    model: 'x86_64',
    memoryKiB: 16 * 1024 * 1024,
    cpus: 4,
    mhz: 2000,
    numaNodes: 1,
    socketsPerNode: 1,
    coresPerSocket: 4,
    threadsPerCore: 1,
  },
  capabilitiesXml: '<capabilities/>',
  domainCapabilitiesXml: '',
};
