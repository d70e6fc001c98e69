/**
 * What the agent knows of a domain from its XML. Parsed by libvirt/domain-xml.ts, read by everybody else.
 */
import type { VmId } from './ids.js';

export interface DiskDevice {
  /** `<target dev>`: the key of the record's `disks`. */
  readonly target: string;
  readonly device: 'disk' | 'cdrom' | 'floppy' | 'lun';
  readonly bus: string;
  readonly source: string;
  readonly alias: string;
  /** oVirt image id, from the ovirt-vm metadata of this disk or from the image directory in the path. */
  readonly imageId?: string;
  /** LUN GUID from the ovirt-vm metadata. */
  readonly lunGuid?: string;
  /** `<iotune>` limits by libvirt's element name (total_bytes_sec ...), if the disk has any. */
  readonly ioTune?: Readonly<Record<string, number>>;
}

export interface NetDevice {
  /** Host tap name `<target dev>`; '' while the domain is not running. */
  readonly target: string;
  readonly mac: string;
  readonly model: string;
  readonly alias: string;
  /** SR-IOV and other passed-through NICs have no host counters and are left out of the record. */
  readonly passthrough: boolean;
}

export interface GraphicsDevice {
  readonly type: string;
  /** Text as in the XML; '' where the attribute is absent. */
  readonly port: string;
  readonly tlsPort: string;
  /** `<listen address>`; '0' where there is none (VDSM's convention). */
  readonly listenAddress: string;
}

/** Values of the ovirt-vm metadata that the agent understands; the rest stays in the XML. */
export interface OvirtMetadata {
  /** Wall-clock start, epoch seconds. */
  readonly startTime?: number;
  readonly minGuaranteedMemoryMb?: number;
  readonly ballooningEnabled?: boolean;
  readonly balloonTargetKiB?: number;
  readonly launchPaused?: boolean;
  readonly resumeBehavior?: string;
  readonly exitCode?: number;
  readonly exitReason?: number;
  readonly exitMessage?: string;
  /** Of a stop that was ordered while it still ran: a record of what libvirt cannot tell afterwards. */
  readonly pendingExitCode?: number;
  readonly pendingExitReason?: number;
  readonly pauseCode?: string;
  /** Since when it is paused by an error, monotonic seconds of this host. */
  readonly pauseTimeSec?: number;
  readonly destroyOnReboot?: boolean;
  /** JSON of the commits under way, by job id. */
  readonly blockJobs?: string;
  /** JSON of the snapshot under way. */
  readonly snapshotJob?: string;
  /** ovirt-tune:qos vcpuLimit, per cent. */
  readonly vcpuLimit?: number;
}

export interface DomainDescription {
  readonly id: VmId;
  readonly name: string;
  /** `domain/@type`: kvm, qemu, test ... */
  readonly type: string;
  /** libvirt's full XML text, as read. */
  readonly xml: string;
  /** Decimal text of a 63-bit content hash of `<devices>`; stable over restarts of the agent. */
  readonly devicesHash: string;
  /** `<memory>` (maximum), KiB. */
  readonly memoryKiB: number;
  /** `<currentMemory>`, KiB. */
  readonly currentMemoryKiB: number;
  /** `<vcpu current>` or its text. */
  readonly vcpus: number;
  readonly maxVcpus: number;
  readonly acpi: boolean;
  /** `<clock adjustment>`: offset of the guest's clock from UTC, seconds. libvirt updates it in live XML. */
  readonly clockAdjustmentSec?: number;
  /** memballoon model; 'none' or '' without a balloon. */
  readonly balloonModel: string;
  /** `<memballoon><stats period>` in seconds; undefined where the XML has none. */
  readonly balloonPeriodSec?: number;
  readonly disks: readonly DiskDevice[];
  readonly nics: readonly NetDevice[];
  readonly graphics: readonly GraphicsDevice[];
  /** Target names of all virtio channels, e.g. org.qemu.guest_agent.0. */
  readonly channels: readonly string[];
  /** True where a guest agent channel is connected as the live XML tells. */
  readonly guestAgentConnected: boolean;
  /** Present where the domain carries ovirt-vm metadata: it is managed, not external. */
  readonly metadata?: OvirtMetadata;
}
