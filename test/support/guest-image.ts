/**
 * A Linux guest that boots in seconds: Debian's cloud kernel and an initramfs of busybox and a few modules.
 *
 * It drives the virtio balloon, disk and network, and obeys the ACPI power button. Needs the Debian packages
 * linux-image-cloud-amd64 and busybox-static; `guestImage()` is undefined without them.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { cpioArchive, type CpioEntry } from './cpio.js';

export interface GuestImage {
  readonly kernelPath: string;
  readonly initramfsPath: string;
}

const BUSYBOX = '/bin/busybox';
const MODULES = [
  'virtio_pci',
  'virtio_balloon',
  'virtio_blk',
  'virtio_net',
  'virtio_console',
  'button',
  'evdev',
];

/** Prints GUEST-READY on the serial console when it is up. */
const INIT = `#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /etc/acpi/PWRF /bin /sbin /tmp
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
for module in $(cat /modules/order); do insmod /modules/$module; done
ip link set lo up
for nic in /sys/class/net/eth*; do [ -e "$nic" ] && ip link set $(basename $nic) up; done
acpid -f -c /etc/acpi -l /dev/null &
echo GUEST-READY > /dev/console
while true; do dd if=/dev/vda of=/dev/null bs=64k count=16 iflag=direct 2>/dev/null; sleep 1; done
`;
const POWER_BUTTON = '#!/bin/busybox sh\necho GUEST-POWEROFF > /dev/console\npoweroff -f\n';

/** Builds the image into `folder` (once); undefined where kernel or busybox are not installed. */
export function guestImage(folder: string): GuestImage | undefined {
  const version = kernelVersion();
  if (version === undefined || !existsSync(BUSYBOX)) return undefined;
  const kernelPath = join(folder, `vmlinuz-${version}`);
  const initramfsPath = join(folder, `initramfs-${version}.gz`);
  if (!existsSync(initramfsPath)) {
    mkdirSync(folder, { recursive: true, mode: 0o755 });
    writeFileSync(kernelPath, readFileSync(`/boot/vmlinuz-${version}`), { mode: 0o644 });
    writeFileSync(initramfsPath, gzipSync(cpioArchive(initramfs(version))), { mode: 0o644 });
  }
  return { kernelPath, initramfsPath };
}

function kernelVersion(): string | undefined {
  return readdirSync('/boot')
    .map((name) => /^vmlinuz-(.*cloud-amd64)$/.exec(name)?.[1])
    .filter((version) => version !== undefined)
    .sort()
    .at(-1);
}

function initramfs(version: string): CpioEntry[] {
  const directory = (path: string): CpioEntry => ({ path, mode: 0o040755 });
  const program = (path: string, content: Buffer): CpioEntry => ({ path, mode: 0o100755, content });
  const modules = moduleClosure(`/lib/modules/${version}`, MODULES);
  return [
    ...['bin', 'dev', 'etc', 'etc/acpi', 'etc/acpi/PWRF', 'modules', 'proc', 'sys'].map(directory),
    program('bin/busybox', readFileSync(BUSYBOX)),
    program('init', Buffer.from(INIT)),
    program('etc/acpi/PWRF/00000080', Buffer.from(POWER_BUTTON)),
    program('modules/order', Buffer.from(modules.map((path) => basename(path)).join('\n'))),
    ...modules.map((path) => program(`modules/${basename(path)}`, readFileSync(path))),
  ];
}

/** Paths of the wanted modules and all they need, in the order of loading; built-in ones are left out. */
function moduleClosure(root: string, wanted: readonly string[]): string[] {
  const needs = new Map<string, string[]>();
  for (const line of readFileSync(join(root, 'modules.dep'), 'utf8').split('\n')) {
    const [path, rest] = line.split(':');
    if (path && rest !== undefined) needs.set(path, rest.trim().split(' ').filter(Boolean));
  }
  const ordered: string[] = [];
  const add = (path: string): void => {
    if (ordered.includes(path)) return;
    for (const needed of [...(needs.get(path) ?? [])].reverse()) add(needed);
    if (!ordered.includes(path)) ordered.push(path);
  };
  for (const name of wanted) {
    const path = [...needs.keys()].find((candidate) => basename(candidate, '.ko') === name);
    if (path !== undefined) add(path);
  }
  return ordered.map((path) => join(root, path));
}

/** Where images are kept between runs: readable for QEMU's own user. */
export const guestImageFolder = '/var/tmp/vdsm-agent-guest';
