/** What a healthy guest agent answers: the one behind the recorded VM record. */
import type { GuestInterface } from '../../../../src/domain/hypervisor-verbs.js';

export const supported = [
  'guest-info',
  'guest-get-users',
  'guest-get-vcpus',
  'guest-network-get-interfaces',
  'guest-get-host-name',
  'guest-get-osinfo',
  'guest-get-timezone',
  'guest-get-fsinfo',
  'guest-get-devices',
  'guest-fsfreeze-freeze',
  'guest-fsfreeze-thaw',
  'guest-fsfreeze-status',
];

/** @param disabled names that the agent has and may not run */
export function guestInfoAnswer(version = '8.2.0', disabled: readonly string[] = []): unknown {
  const commands = supported.map((name) => ({
    name,
    enabled: !disabled.includes(name),
    'success-response': true,
  }));
  return { version, supported_commands: commands };
}

export const info: Readonly<Record<string, string | number | boolean>> = {
  'user.count': 0,
  hostname: 'vm-0000.example.com',
  'os.id': 'almalinux',
  'os.name': 'AlmaLinux',
  'os.pretty-name': 'AlmaLinux 9.4 (Seafoam Ocelot)',
  'os.version': '9.4 (Seafoam Ocelot)',
  'os.version-id': '9.4',
  'os.machine': 'x86_64',
  'os.kernel-release': '5.14.0-427.13.1.el9_4.x86_64',
  'os.kernel-version': '#1 SMP PREEMPT_DYNAMIC Wed May 1 19:11:28 UTC 2024',
  'timezone.name': 'CET',
  'timezone.offset': 3600,
  'fs.count': 3,
  'fs.0.mountpoint': '/',
  'fs.0.name': 'sda2',
  'fs.0.fstype': 'xfs',
  'fs.0.total-bytes': 32_000_000_000,
  'fs.0.used-bytes': 8_000_000_000,
  'fs.0.disk.count': 1,
  'fs.1.mountpoint': '/boot',
  'fs.1.name': 'sda1',
  'fs.1.fstype': 'xfs',
  'fs.1.total-bytes': 1_063_256_064,
  'fs.1.used-bytes': 396_361_728,
  'fs.2.mountpoint': '/media/cd',
  'fs.2.fstype': 'iso9660',
};

export const interfaces: readonly GuestInterface[] = [
  { name: 'lo', mac: '00:00:00:00:00:00', ipv4: ['127.0.0.1'], ipv6: ['::1'] },
  { name: 'enp1s0', mac: '56:6f:00:00:00:00', ipv4: ['192.168.0.0'], ipv6: ['fe80::546f:ff:fe00:0'] },
];

export const vcpus = [
  { online: true, 'can-offline': false, 'logical-id': 0 },
  { online: true, 'can-offline': true, 'logical-id': 1 },
  { online: false, 'can-offline': true, 'logical-id': 2 },
];

export const pciDevices = [
  { id: { type: 'pci', 'vendor-id': 6900, 'device-id': 4161 }, 'driver-name': 'virtio-net' },
  { id: { type: 'pci', 'vendor-id': 6900, 'device-id': 4161 }, 'driver-name': 'virtio-net' },
];
