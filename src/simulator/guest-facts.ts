/**
 * What the agent inside a guest would tell: made up from the domain, the same each time it is asked.
 */
import type { TypedParam } from '../libvirt/typed-params.js';
import { GuestInfoFlag } from '../libvirt/enumerations.js';
import type { DiskConfig } from './domain-config.js';
import type { SimulatedDomain } from './domain.js';

/** virDomainGetGuestInfo's bit for interfaces, which the agent has no use for. */
const INTERFACES = 64;
export const ALL_GUEST_INFO = INTERFACES | Object.values(GuestInfoFlag).reduce((all, bit) => all | bit, 0);
const IPV4 = 0;

export interface GuestInterfaceFacts {
  readonly name: string;
  readonly mac: string;
  readonly addresses: readonly { readonly type: number; readonly address: string; readonly prefix: number }[];
}

export interface FilesystemFacts {
  readonly name: string;
  readonly mountpoint: string;
  readonly type: string;
  readonly totalBytes: number;
  readonly usedBytes: number;
  /** Target of the disk that it is on. */
  readonly disk: string;
}

/** Addresses of 10.x.x.x that depend on the domain's id. @param names of the NICs */
export function guestNics(domain: SimulatedDomain, names: (index: number) => string): GuestInterfaceFacts[] {
  return domain.config.nics.map((nic, index) => ({
    name: names(index),
    mac: nic.mac,
    addresses: [
      {
        type: IPV4,
        address: `10.${(domain.id >> 8) & 0xff}.${domain.id & 0xff}.${index + 2}`,
        prefix: 8,
      },
    ],
  }));
}

export function guestInterfaces(domain: SimulatedDomain): GuestInterfaceFacts[] {
  const loopback = { type: IPV4, address: '127.0.0.1', prefix: 8 };
  return [
    { name: 'lo', mac: '00:00:00:00:00:00', addresses: [loopback] },
    ...guestNics(domain, (index) => `eth${index}`),
  ];
}

const dataDisks = (domain: SimulatedDomain): readonly DiskConfig[] =>
  domain.config.disks.filter(({ device }) => device === 'disk');

/** One on each disk; the first is the root. */
export function filesystems(domain: SimulatedDomain): FilesystemFacts[] {
  return dataDisks(domain).map((disk, index) => ({
    name: `${disk.target}1`,
    mountpoint: index === 0 ? '/' : `/mnt/${disk.target}`,
    type: 'xfs',
    totalBytes: disk.capacityBytes,
    usedBytes: Math.floor(disk.capacityBytes / 3),
    disk: disk.target,
  }));
}

/** @param types bits of GuestInfoFlag; 0 is all */
export function guestInfo(domain: SimulatedDomain, types: number): TypedParam[] {
  const wanted = types === 0 ? ALL_GUEST_INFO : types;
  return parts.flatMap(([bit, tell]) => ((wanted & bit) === 0 ? [] : tell(domain)));
}

const text = (field: string, value: string): TypedParam => ({ field, type: 'string', value });
const uint = (field: string, value: number): TypedParam => ({ field, type: 'uint', value });
const ullong = (field: string, value: number): TypedParam => ({ field, type: 'ullong', value });

const parts: readonly (readonly [number, (domain: SimulatedDomain) => TypedParam[]])[] = [
  [
    GuestInfoFlag.users,
    () => [
      uint('user.count', 1),
      text('user.0.name', 'root'),
      ullong('user.0.login-time', 1_767_225_600_000),
    ],
  ],
  [
    GuestInfoFlag.os,
    () => [
      text('os.id', 'rhel'),
      text('os.name', 'Red Hat Enterprise Linux'),
      text('os.pretty-name', 'Red Hat Enterprise Linux 9.4 (Plow)'),
      text('os.version', '9.4 (Plow)'),
      text('os.version-id', '9.4'),
      text('os.machine', 'x86_64'),
      text('os.kernel-release', '5.14.0-427.el9.x86_64'),
      text('os.kernel-version', '#1 SMP PREEMPT_DYNAMIC'),
    ],
  ],
  [
    GuestInfoFlag.timezone,
    () => [text('timezone.name', 'UTC'), { field: 'timezone.offset', type: 'int', value: 0 }],
  ],
  [GuestInfoFlag.hostname, (domain) => [text('hostname', domain.name)]],
  [GuestInfoFlag.filesystem, tellFilesystems],
  [GuestInfoFlag.disks, tellDisks],
  [INTERFACES, tellInterfaces],
];

function tellFilesystems(domain: SimulatedDomain): TypedParam[] {
  // A frozen guest tells of none.
  const told = domain.frozenFilesystems > 0 ? [] : filesystems(domain);
  return [
    uint('fs.count', told.length),
    ...told.flatMap(({ name, mountpoint, type, totalBytes, usedBytes, disk }, index) => [
      text(`fs.${index}.name`, name),
      text(`fs.${index}.mountpoint`, mountpoint),
      text(`fs.${index}.fstype`, type),
      ullong(`fs.${index}.total-bytes`, totalBytes),
      ullong(`fs.${index}.used-bytes`, usedBytes),
      uint(`fs.${index}.disk.count`, 1),
      text(`fs.${index}.disk.0.alias`, disk),
      text(`fs.${index}.disk.0.device`, `/dev/${name}`),
    ]),
  ];
}

function tellDisks(domain: SimulatedDomain): TypedParam[] {
  const disks = dataDisks(domain);
  return [
    uint('disk.count', disks.length),
    ...disks.flatMap(({ target }, index): TypedParam[] => [
      text(`disk.${index}.name`, `/dev/${target}`),
      { field: `disk.${index}.partition`, type: 'boolean', value: false },
      text(`disk.${index}.alias`, target),
    ]),
  ];
}

function tellInterfaces(domain: SimulatedDomain): TypedParam[] {
  const interfaces = guestInterfaces(domain);
  return [
    uint('if.count', interfaces.length),
    ...interfaces.flatMap(({ name, mac, addresses }, index) => [
      text(`if.${index}.name`, name),
      text(`if.${index}.hwaddr`, mac),
      uint(`if.${index}.addr.count`, addresses.length),
      ...addresses.flatMap(({ address, prefix }, at) => [
        text(`if.${index}.addr.${at}.type`, 'ipv4'),
        text(`if.${index}.addr.${at}.addr`, address),
        uint(`if.${index}.addr.${at}.prefix`, prefix),
      ]),
    ]),
  ];
}

/** 'guest-get-devices' of the agent: one per virtio disk and NIC, as drivers of Windows guests are told. */
export function guestDevices(domain: SimulatedDomain): object[] {
  const driver = (name: string, deviceId: number) => ({
    'driver-date': 1_700_000_000_000_000_000,
    'driver-name': name,
    'driver-version': '100.94.104.24000',
    id: { type: 'pci', 'vendor-id': 6900, 'device-id': deviceId },
  });
  return [
    ...dataDisks(domain).map(() => driver('Red Hat VirtIO SCSI controller', 4162)),
    ...domain.config.nics.map(() => driver('Red Hat VirtIO Ethernet Adapter', 4161)),
  ];
}
