/**
 * Domains of the fake hypervisor: their XML, as little of it as the agent's rules look at, and its description.
 */
import type { DomainDescription, OvirtMetadata } from '../../src/domain/devices.js';
import { HypervisorError } from '../../src/domain/hypervisor.js';
import type { DiskError, DomainState, HypervisorHostInfo } from '../../src/domain/hypervisor.js';
import { parseVmId } from '../../src/domain/ids.js';
import type { VmId } from '../../src/domain/ids.js';

export interface FakeDomain {
  readonly id: VmId;
  readonly name: string;
  readonly xml: string;
  readonly persistent: boolean;
  state: DomainState;
  job?: string;
  diskErrors: DiskError[];
  balloonPeriodSec?: number;
  vcpuQuota: number;
  vcpuPeriod: number;
}

export interface DomainXmlOptions {
  readonly managed?: boolean;
  readonly launchPaused?: boolean;
  readonly exitReason?: number;
  readonly startTime?: number;
  readonly destroyOnReboot?: boolean;
  readonly balloon?: boolean;
  readonly channel?: string;
}

/** The id of the n-th domain of a test. */
export function fakeId(n: number): VmId {
  return `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}` as VmId;
}

export function domainXml(id: VmId, name: string, options: DomainXmlOptions = {}): string {
  const value = (tag: string, content: string | number | boolean | undefined): string =>
    content === undefined ? '' : `<ovirt-vm:${tag}>${String(content)}</ovirt-vm:${tag}>`;
  const metadata =
    (options.managed ?? true)
      ? `<metadata><ovirt-vm:vm>${value('launchPaused', options.launchPaused)}${value('startTime', options.startTime)}` +
        `${value('exitReason', options.exitReason)}${value('destroy_on_reboot', options.destroyOnReboot)}</ovirt-vm:vm></metadata>`
      : '';
  const channel =
    options.channel === undefined ? '' : `<channel><target name='${options.channel}'/></channel>`;
  const balloon = options.balloon ? `<memballoon model='virtio'/>` : '';
  return `<domain type='kvm'><name>${name}</name><uuid>${id}</uuid>${metadata}<devices>${channel}${balloon}</devices></domain>`;
}

const BALLOON = /<memballoon model='virtio'(\/>|>.*<\/memballoon>)/;

/** The XML as libvirt tells it once the period of memory statistics was set. @param periodSec 0: none */
export function withBalloonPeriod(xml: string, periodSec: number): string {
  if (periodSec === 0) return xml;
  return xml.replace(BALLOON, `<memballoon model='virtio'><stats period='${periodSec}'/></memballoon>`);
}

/** @throws HypervisorError 'failed' for what is no domain */
export function describeXml(xml: string): DomainDescription {
  const text = (tag: string): string | undefined =>
    new RegExp(`<${tag}(?: [^>]*)?>([^<]*)</${tag}>`).exec(xml)?.[1];
  const id = parseVmId(text('uuid'));
  const name = text('name');
  const balloonPeriod = /<stats period='(\d+)'/.exec(xml)?.[1];
  const whole = xml.startsWith('<domain') && xml.endsWith('</devices></domain>');
  if (!whole || id === undefined || name === undefined) {
    throw new HypervisorError('failed', 'XML error: this is no domain with a name and a uuid');
  }
  return {
    id,
    name,
    type: 'kvm',
    xml,
    devicesHash: String(xml.length - xml.indexOf('<devices>')),
    memoryKiB: 1024,
    currentMemoryKiB: 1024,
    vcpus: 1,
    maxVcpus: 1,
    acpi: true,
    balloonModel: BALLOON.test(xml) ? 'virtio' : '',
    ...(balloonPeriod !== undefined && { balloonPeriodSec: Number(balloonPeriod) }),
    disks: [{ target: 'vda', device: 'disk', bus: 'virtio', source: '/images/vda', alias: 'ua-disk' }],
    nics: [],
    graphics: [],
    channels: /<target name='([^']+)'/.exec(xml)?.slice(1) ?? [],
    guestAgentConnected: false,
    ...(/<ovirt-vm:vm[ >]/.test(xml) && { metadata: metadataOf(text) }),
  };
}

function metadataOf(text: (tag: string) => string | undefined): OvirtMetadata {
  const startTime = text('ovirt-vm:startTime');
  const exitReason = text('ovirt-vm:exitReason');
  return {
    launchPaused: text('ovirt-vm:launchPaused') === 'true',
    destroyOnReboot: text('ovirt-vm:destroy_on_reboot') === 'true',
    ...(startTime !== undefined && { startTime: Number(startTime) }),
    ...(exitReason !== undefined && {
      exitCode: 0,
      exitReason: Number(exitReason),
      exitMessage: 'as the metadata says',
    }),
  };
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
