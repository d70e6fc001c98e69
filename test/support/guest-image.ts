/**
 * A Linux guest that boots in seconds: Debian's cloud kernel and an initramfs of busybox, a few modules and the real
 * QEMU guest agent.
 *
 * It drives virtio balloon, disks, SCSI, network and channels, brings plugged-in CPUs, memory and NICs up, obeys the
 * ACPI power button, Ctrl-Alt-Del and the agent's shutdown, has a file system that can be frozen (on /dev/vdb where
 * that is formatted, else in memory) mounted at /mnt and a user logged in, and runs commands of tests on its serial
 * port (guest-console.ts). guest-scripts.ts has its insides.
 *
 * Needs the Debian packages linux-image-cloud-amd64, busybox-static and qemu-guest-agent; `guestImage()` is undefined
 * without them. Images are made once: their names tell their content.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { cpioArchive, type CpioEntry } from './cpio.js';
import { guestScripts, utmpRecord } from './guest-scripts.js';

export interface GuestImage {
  readonly kernelPath: string;
  readonly initramfsPath: string;
}

/** Where images are kept between runs: readable for QEMU's own user. */
export const guestImageFolder = '/var/tmp/vdsm-agent-guest';

const BUSYBOX = '/bin/busybox';
const AGENT = '/usr/sbin/qemu-ga';
const MODULES = [
  'virtio_pci',
  'virtio_balloon',
  'virtio_blk',
  'virtio_net',
  'virtio_console',
  'virtio_scsi',
  'sd_mod',
  'sr_mod',
  'ata_piix',
  'isofs',
  'vfat',
  'nls_ascii',
  'nls_cp437',
  'loop',
  'button',
  'evdev',
];
const FOLDERS = ['dev', 'mnt', 'proc', 'run', 'sys', 'tmp', 'var'];

/** Builds the image into `folder` unless it is there; undefined where kernel, busybox or agent are not installed. */
export function guestImage(folder = guestImageFolder): GuestImage | undefined {
  const version = kernelVersion();
  if (version === undefined || !existsSync(BUSYBOX) || !existsSync(AGENT)) return undefined;
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  const content = cpioArchive(initramfs(version));
  const digest = createHash('sha256').update(content).digest('hex').slice(0, 12);
  const kernelPath = join(folder, `vmlinuz-${version}`);
  const initramfsPath = join(folder, `initramfs-${version}-${digest}.gz`);
  makeFile(kernelPath, () => readFileSync(`/boot/vmlinuz-${version}`));
  makeFile(initramfsPath, () => gzipSync(content));
  return { kernelPath, initramfsPath };
}

/** Test processes may make the same file at the same time; none sees half of one. */
function makeFile(path: string, content: () => Buffer): void {
  if (existsSync(path)) return;
  const unfinished = `${path}.${process.pid}`;
  writeFileSync(unfinished, content(), { mode: 0o644 });
  renameSync(unfinished, path);
}

function kernelVersion(): string | undefined {
  return readdirSync('/boot')
    .map((name) => /^vmlinuz-(.*cloud-amd64)$/.exec(name)?.[1])
    .filter((version) => version !== undefined)
    .sort()
    .at(-1);
}

function initramfs(version: string): CpioEntry[] {
  const modules = moduleClosure(`/lib/modules/${version}`, MODULES);
  const programs = new Map<string, Buffer>([
    ['bin/busybox', readFileSync(BUSYBOX)],
    ['sbin/qemu-ga', readFileSync(AGENT)],
    ...sharedLibraries(AGENT).map((path) => [path.slice(1), readFileSync(path)] as const),
    ...Object.entries(guestScripts).map(([path, text]) => [path, Buffer.from(text)] as const),
    ['etc/utmp.alice', utmpRecord()],
    ['modules/order', Buffer.from(modules.map((path) => basename(path)).join('\n'))],
    ...modules.map((path) => [`modules/${basename(path)}`, readFileSync(path)] as const),
  ]);
  return [
    ...foldersOf([...programs.keys()]).map((path) => ({ path, mode: 0o040755 })),
    ...[...programs].map(([path, content]) => ({ path, mode: 0o100755, content })),
  ];
}

/** All folders, each after the one it lies in. */
function foldersOf(paths: readonly string[]): string[] {
  const folders = new Set(FOLDERS);
  const add = (folder: string): void => {
    if (folder === '.' || folders.has(folder)) return;
    add(dirname(folder));
    folders.add(folder);
  };
  for (const path of paths) add(dirname(path));
  return [...folders];
}

/** Where the dynamic linker finds what the program needs, itself included. */
function sharedLibraries(program: string): string[] {
  const lines = execFileSync('ldd', [program], { encoding: 'utf8' }).split('\n');
  return lines.flatMap((line) => /(?:=> |^\s*)(\/\S+) \(0x/.exec(line)?.[1] ?? []);
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
