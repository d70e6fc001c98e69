/**
 * The parts of a VM's record that change only with the Vm: encoded once per Vm object, joined with the figures of
 * every tick by vm-stats.ts. Everything that could need escaping goes through JSON.stringify here.
 */
import type { DiskDevice, DomainDescription, NetDevice } from '../domain/devices.js';
import type { GuestInfo } from '../domain/guest-info.js';
import { configurationBlock, guestBlock, statusBlock, steadyBlock } from '../domain/vm-record.js';
import type { Vm } from '../domain/vm.js';
import { label } from './record-bytes.js';

/** A device's entry up to its figures (`"vda":{`), by the name that samples have it under. */
export interface DeviceText {
  readonly name: string;
  readonly text: Uint8Array;
}

export interface RecordText {
  /** What it was made from. */
  readonly vm: Vm;
  readonly down: boolean;
  /** Members without braces: `"status":"Up",...`; never empty. */
  readonly members: Uint8Array;
  readonly nics: readonly DeviceText[];
  readonly disks: readonly DeviceText[];
  /** `,"balloonInfo":{... "balloon_cur":"`, to be followed by digits; undefined before the XML is known. */
  readonly balloon: Uint8Array | undefined;
  /** Maximum memory, whole MiB; 0 before the XML is known. */
  readonly memoryMiB: number;
  /** Per cent, by the guest agent, whose word goes before the balloon's; NaN where it does not tell. */
  readonly guestMemUsage: number;
}

export function recordTextOf(vm: Vm): RecordText {
  const status = statusBlock(vm);
  const down = status.status === 'Down';
  const { domain } = vm;
  const memoryMiB = domain ? Math.floor(domain.memoryKiB / 1024) : 0;
  const guestMemUsage = Number.parseInt(vm.guest.memUsage, 10);
  return {
    vm,
    down,
    members: label(
      down
        ? bare(status)
        : bare({ ...status, ...configurationBlock(vm), ...steadyBlock(vm) }) + guestText(vm),
    ),
    nics: domain ? nicTexts(domain.nics) : [],
    disks: domain ? diskTexts(domain.disks) : [],
    balloon: domain && label(balloonText(vm, domain, memoryMiB)),
    memoryMiB,
    guestMemUsage: guestMemUsage > 0 ? guestMemUsage : NaN,
  };
}

/** A GuestInfo outlives many Vm objects, and may have a thousand entries. */
const guestTexts = new WeakMap<GuestInfo, string>();

/** `,"username":"",...`: the guest block but for memUsage, which follows from the samples where the guest does not tell. */
function guestText(vm: Vm): string {
  const known = guestTexts.get(vm.guest);
  if (known !== undefined) return known;
  const { memUsage: _, ...members } = guestBlock(vm);
  const text = `,${bare(members)}`;
  guestTexts.set(vm.guest, text);
  return text;
}

function nicTexts(nics: readonly NetDevice[]): DeviceText[] {
  return nics
    .filter((nic) => nic.target !== '' && !nic.passthrough)
    .map((nic) => ({
      name: nic.target,
      text: entry(nic.target, {
        macAddr: nic.mac,
        name: nic.target,
        speed: GIGABIT_MODELS.has(nic.model) ? '1000' : '100',
        state: 'unknown',
      }),
    }));
}

const GIGABIT_MODELS = new Set(['virtio', 'e1000', 'e1000e']);

function diskTexts(disks: readonly DiskDevice[]): DeviceText[] {
  return disks.map(({ target, imageId, lunGuid }) => ({
    name: target,
    text: entry(target, {
      ...(imageId !== undefined && { imageID: imageId }),
      ...(imageId === undefined && lunGuid !== undefined && { lunGUID: lunGuid }),
    }),
  }));
}

/**
 * Maximum and minimum go by whole MiB, as an engine sets them. Before the first balloon target was set it is the
 * memory that the VM started with.
 */
function balloonText(vm: Vm, domain: DomainDescription, memoryMiB: number): string {
  const { metadata, balloonModel } = domain;
  const target = vm.balloonTargetKiB ?? metadata?.balloonTargetKiB ?? memoryMiB * 1024;
  const fixed = {
    balloon_max: integerText(memoryMiB * 1024),
    balloon_min: integerText((metadata?.minGuaranteedMemoryMb ?? 0) * 1024),
    balloon_target: integerText(target),
    ballooning_enabled: metadata?.ballooningEnabled ?? (balloonModel !== '' && balloonModel !== 'none'),
  };
  return `,"balloonInfo":{${bare(fixed)},"balloon_cur":"`;
}

/** `"key":{` and the members, each followed by a comma: figures come next, so the entry is never empty. */
function entry(key: string, members: object): Uint8Array {
  const inner = bare(members);
  return label(`${JSON.stringify(key)}:{${inner}${inner === '' ? '' : ','}`);
}

/** JSON members without the braces. */
function bare(members: object): string {
  return JSON.stringify(members).slice(1, -1);
}

function integerText(value: number): string {
  return Number.isSafeInteger(Math.trunc(value)) && value >= 0 ? String(Math.trunc(value)) : '0';
}
