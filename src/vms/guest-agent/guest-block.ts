/**
 * From a guest agent's answers to the members of the record's guest block. Pure.
 *
 * A guest may lie, and one record that an engine cannot read voids its poll of the whole host: whatever comes is taken
 * for unknown until it has shown to be of the right type. What is missing or absurd is left out; lists have 1,000
 * entries at most, texts are cut, and control characters, which no database takes, are dropped.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import type {
  GuestFileSystem,
  GuestInfo,
  GuestNetInterface,
  GuestOsInfo,
  GuestPciDevice,
} from '../../domain/guest-info.js';

/** What an agent has told so far. */
export type Told = Partial<Omit<GuestInfo, 'appsList'>> & {
  readonly agentVersion?: string;
  readonly kernel?: string;
};

const MAX_ENTRIES = 1000;
const MAX_TEXT = 255;
const MAX_LIST_TEXT = 8192;
const MAX_CPUS = 65_536;
const DAY_SEC = 86_400;
/** Where JavaScript begins to write exponents. */
const EXPONENT_FROM = 1e21;

/** The block with what was told; the same object where that changes nothing. */
export function withTold(guest: GuestInfo, told: Told): GuestInfo {
  const { agentVersion, kernel, ...members } = told;
  const apps = [
    ...(kernel === undefined ? [] : [`kernel-${kernel}`]),
    ...(agentVersion === undefined ? [] : [`qemu-guest-agent-${agentVersion}`]),
  ];
  const next: GuestInfo = { ...guest, ...members, ...(apps.length > 0 && { appsList: apps }) };
  return isDeepStrictEqual(next, guest) ? guest : next;
}

/** @param answer of guest-info */
export function agentVersion(answer: unknown): Told {
  const version = text(member(answer, 'version'));
  return version === '' ? {} : { agentVersion: version };
}

/**
 * Names of the commands that the agent has and may run; undefined where it does not tell. While its file systems are
 * frozen it says of nearly all that they are disabled: those count then.
 * @param answer of guest-info
 */
export function supportedCommands(answer: unknown): ReadonlySet<string> | undefined {
  const commands = entries(member(answer, 'supported_commands'));
  if (commands.length === 0) return undefined;
  const enabled = new Set(commands.filter((each) => member(each, 'enabled') !== false).map(nameOf));
  const isFrozen = enabled.has('guest-fsfreeze-thaw') && !enabled.has('guest-fsfreeze-freeze');
  return isFrozen ? new Set(commands.map(nameOf)) : enabled;
}

function nameOf(command: unknown): string {
  return text(member(command, 'name'));
}

/** @param fields user.count, user.0.name, user.0.domain ... */
export function users(fields: unknown): Told {
  const names = numbered(fields, 'user').flatMap((user) => {
    const name = text(user('name'));
    const domain = text(user('domain'));
    return name === '' ? [] : [domain === '' ? name : `${name}@${domain}`];
  });
  return { username: text([...new Set(names)].join(', '), MAX_LIST_TEXT) };
}

/** @param answer of guest-get-vcpus */
export function cpus(answer: unknown): Told {
  if (!Array.isArray(answer)) return {};
  const online = answer.slice(0, MAX_CPUS).filter((cpu) => member(cpu, 'online') === true).length;
  return online === 0 ? {} : { guestCPUCount: online };
}

/** @param answer the port's GuestInterface list */
export function interfaces(answer: unknown): Told {
  let room = MAX_ENTRIES;
  const valid = (addresses: unknown, isValid: (address: string) => boolean): string[] => {
    const found = entries(addresses)
      .map((address) => text(address))
      .filter(isValid)
      .slice(0, room);
    room -= found.length;
    return found;
  };
  const netIfaces = entries(answer).flatMap((each): GuestNetInterface[] => {
    const name = text(member(each, 'name'));
    if (name === '') return [];
    const inet = valid(member(each, 'ipv4'), isIPv4);
    const inet6 = valid(member(each, 'ipv6'), isIPv6);
    return [{ name, inet, inet6, hw: text(member(each, 'mac')) }];
  });
  const addresses = netIfaces.flatMap(({ inet }) => inet).filter((address) => !address.startsWith('127.'));
  return { netIfaces, guestIPs: addresses.join(' ') };
}

/** @param fields hostname */
export function hostname(fields: unknown): Told {
  const name = text(member(fields, 'hostname'));
  return name === '' ? {} : { guestFQDN: name, guestName: name };
}

/** @param fields os.id, os.name, os.version-id, os.kernel-release, os.machine ... */
export function os(fields: unknown): Told {
  const of = (name: string): string => text(member(fields, `os.${name}`));
  const kernel = of('kernel-release');
  const arch = of('machine');
  if (of('id') === 'mswindows') {
    const name = of('pretty-name');
    return {
      guestOs: name,
      guestOsInfo: osInfo({ type: 'windows', arch, version: of('version-id'), codename: name }),
    };
  }
  if (kernel === '' && of('name') === '') return {};
  const [distribution, version, codename] = [of('name'), of('version-id'), of('variant')];
  return {
    guestOs: kernel,
    guestOsInfo: osInfo({ type: 'linux', arch, kernel, distribution, version, codename }),
    ...(kernel !== '' && { kernel }),
  };
}

function osInfo(known: Partial<GuestOsInfo> & Pick<GuestOsInfo, 'type'>): GuestOsInfo {
  return { arch: '', kernel: '', distribution: '', version: '', codename: '', ...known };
}

/** @param fields timezone.name, timezone.offset in seconds */
export function timezone(fields: unknown): Told {
  const offsetSec = member(fields, 'timezone.offset');
  if (typeof offsetSec !== 'number' || !(Math.abs(offsetSec) <= DAY_SEC)) return {};
  return {
    guestTimezone: { offset: Math.floor(offsetSec / 60), zone: text(member(fields, 'timezone.name')) },
  };
}

/** @param fields fs.count, fs.0.mountpoint, fs.0.total-bytes ...; file systems without sizes are left out */
export function filesystems(fields: unknown): Told {
  const disksUsage = numbered(fields, 'fs').flatMap((fs): GuestFileSystem[] => {
    const path = text(fs('mountpoint'));
    const [total, used] = [bytes(fs('total-bytes')), bytes(fs('used-bytes'))];
    if (path === '' || total === undefined || used === undefined) return [];
    return [{ path, total, used, fs: text(fs('fstype')) }];
  });
  return { disksUsage };
}

/** @param answer of guest-get-devices, which agents of Windows have */
export function devices(answer: unknown): Told {
  const found = new Map<string, GuestPciDevice>();
  for (const each of entries(answer)) {
    // Before QEMU 5.2 the id was in an address.
    const id = member(each, 'id') ?? member(member(each, 'address'), 'data');
    const [vendor, device] = [member(id, 'vendor-id'), member(id, 'device-id')];
    if (!isPciId(vendor) || !isPciId(device)) continue;
    const one: GuestPciDevice = {
      device_id: device,
      driver_date: dateText(member(each, 'driver-date')),
      driver_name: text(member(each, 'driver-name')),
      driver_version: text(member(each, 'driver-version')),
      vendor_id: vendor,
    };
    found.set(JSON.stringify(one), one);
  }
  return { pci_devices: [...found.values()] };
}

function isPciId(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 0xffff;
}

/** Nanoseconds since 1970, or before QEMU 5.2 a text; '' for what is no day. */
function dateText(value: unknown): string {
  if (typeof value !== 'number') return text(value);
  const date = new Date(value / 1e6);
  return Number.isNaN(date.getTime()) ? '' : date.toISOString().slice(0, 10);
}

/** The fields of each numbered entry of libvirt's flat form: count in `name.count`, fields in `name.0.field`. */
function numbered(fields: unknown, name: string): ((field: string) => unknown)[] {
  const count = member(fields, `${name}.count`);
  if (typeof count !== 'number' || !(count > 0)) return [];
  return Array.from(
    { length: Math.min(Math.trunc(count), MAX_ENTRIES) },
    (_, index) => (field: string) => member(fields, `${name}.${index}.${field}`),
  );
}

function member(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Readonly<Record<string, unknown>>)[name];
}

function entries(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value.slice(0, MAX_ENTRIES) : [];
}

/** '' for what is no text. The cut may halve a character of two units: its half is dropped, like any that stands alone. */
function text(value: unknown, limit = MAX_TEXT): string {
  return typeof value === 'string' ? value.slice(0, limit).replace(/[\p{Cc}\p{Cs}]/gu, '') : '';
}

function bytes(value: unknown): string | undefined {
  if (typeof value !== 'number' || !(value >= 0 && value < EXPONENT_FROM)) return undefined;
  return String(Math.trunc(value));
}
