/** Domain XML of the booted test guest (guest-image.ts). */
import { consoleXml } from './guest-console.js';
import type { GuestImage } from './guest-image.js';

export interface GuestDomain {
  readonly name: string;
  readonly uuid: string;
  readonly image: GuestImage;
  /** Socket of the serial port; see GuestConsole. */
  readonly consolePath: string;
  /** Machine type; default q35. `pc` has IDE drives. */
  readonly machine?: string;
  readonly memoryMiB?: number;
  /** Text of `<vcpu>`, e.g. "<vcpu current='1'>4</vcpu>". */
  readonly vcpu?: string;
  readonly metadata?: string;
  /** More elements of `<devices>`. */
  readonly devices?: string;
}

export const agentChannel = `<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>`;

/**
 * With a balloon and the guest agent's channel; emulated, since nested KVM is not to be had everywhere. On a busy machine
 * the emulated timer is late, which the kernel takes for a broken one (and panics) unless it is told not to check.
 */
export function guestDomainXml(guest: GuestDomain): string {
  const { kernelPath, initramfsPath } = guest.image;
  return `
<domain type='qemu'>
  <name>${guest.name}</name><uuid>${guest.uuid}</uuid>${guest.metadata ?? ''}
  <memory unit='MiB'>${guest.memoryMiB ?? 160}</memory>${guest.vcpu ?? '<vcpu>1</vcpu>'}
  <os><type arch='x86_64' machine='${guest.machine ?? 'q35'}'>hvm</type>
    <kernel>${kernelPath}</kernel><initrd>${initramfsPath}</initrd>
    <cmdline>console=ttyS0 quiet no_timer_check GUEST_NAME=${guest.name}</cmdline></os>
  <features><acpi/></features>
  <devices>${consoleXml(guest.consolePath)}${agentChannel}<memballoon model='virtio'/>${guest.devices ?? ''}</devices>
</domain>`;
}
