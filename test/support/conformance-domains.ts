/**
 * Domains without a guest system for comparing what libvirt says of them: 2 vCPUs, 2 qcow2 disks, an empty CD drive
 * and 1 NIC on a tap that libvirt makes; one running, one paused, one shut off, one on KVM where there is KVM.
 */
import { execFile } from 'node:child_process';
import { accessSync, chmodSync, constants, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { removeDomains, virsh } from './real-libvirt.js';

const run = promisify(execFile);
/** virtio disk size; nothing is ever written. */
const DISK_SIZE = '64M';

export interface ConformanceDomains {
  readonly names: readonly string[];
  remove(): Promise<void>;
}

export function kvmUsable(): boolean {
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** @param prefix of the domains' names; what else has it is removed first */
export async function createConformanceDomains(prefix: string): Promise<ConformanceDomains> {
  await removeDomains(prefix);
  const folder = mkdtempSync(join(tmpdir(), prefix));
  chmodSync(folder, 0o755);
  const remove = async (): Promise<void> => {
    await removeDomains(prefix);
    rmSync(folder, { recursive: true, force: true });
  };
  const kinds = ['running', 'paused', 'off', ...(kvmUsable() ? ['kvm'] : [])];
  try {
    for (const [index, kind] of kinds.entries()) await createDomain(folder, `${prefix}${kind}`, index);
  } catch (error) {
    await remove();
    throw error;
  }
  return { names: kinds.map((kind) => prefix + kind), remove };
}

async function createDomain(folder: string, name: string, index: number): Promise<void> {
  for (const disk of ['a', 'b']) {
    const path = join(folder, `${name}-${disk}.qcow2`);
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', path, DISK_SIZE]);
    chmodSync(path, 0o666);
  }
  const file = join(folder, `${name}.xml`);
  writeFileSync(file, domainXml(folder, name, index));
  await virsh(['define', file]);
  if (name.endsWith('off')) return;
  await virsh(name.endsWith('paused') ? ['start', name, '--paused'] : ['start', name]);
}

function domainXml(folder: string, name: string, index: number): string {
  const disk = (file: string, target: string): string => `
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='${join(folder, `${name}-${file}.qcow2`)}'/>
      <target dev='${target}' bus='virtio'/>
    </disk>`;
  return `
<domain type='${name.endsWith('kvm') ? 'kvm' : 'qemu'}'>
  <name>${name}</name>
  <metadata>
    <ovirt-vm:vm xmlns:ovirt-vm='http://ovirt.org/vm/1.0'>
      <ovirt-vm:minGuaranteedMemoryMb type='int'>32</ovirt-vm:minGuaranteedMemoryMb>
    </ovirt-vm:vm>
  </metadata>
  <memory unit='MiB'>64</memory>
  <currentMemory unit='MiB'>48</currentMemory>
  <vcpu current='2'>4</vcpu>
  <os><type arch='x86_64'>hvm</type></os>
  <features><acpi/></features>
  <devices>${disk('a', 'vda')}${disk('b', 'vdb')}
    <disk type='file' device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk>
    <interface type='ethernet'>
      <mac address='52:54:00:de:c0:1${index}'/>
      <model type='virtio'/>
    </interface>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <memballoon model='virtio'><stats period='3'/></memballoon>
  </devices>
</domain>`;
}
