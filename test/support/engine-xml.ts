/**
 * Domain XML in the form in which an engine sends it with VM.create: its order, its namespaces, its placeholders, its
 * metadata; without what needs an engine's networks and storage domains.
 */
export interface EngineVm {
  readonly name: string;
  readonly uuid: string;
  readonly memoryMiB?: number;
  /** Path of a raw image; absent: no hard disk. */
  readonly diskPath?: string;
  /** Files by path on a payload CD, and its label. */
  readonly payload?: { readonly volumeId?: string; readonly files: Readonly<Record<string, string>> };
  readonly launchPaused?: boolean;
  readonly destroyOnReboot?: boolean;
  /** Kernel, initial file system and so on, inside `<os>`. */
  readonly boot?: string;
  /** More devices. */
  readonly devices?: string;
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');

function payloadMetadata({ payload }: EngineVm): string {
  if (!payload) return '';
  const files = Object.entries(payload.files).map(
    ([path, content]) => `<ovirt-vm:file path="${path}">${base64(content)}</ovirt-vm:file>`,
  );
  const label = payload.volumeId === undefined ? '' : `<ovirt-vm:volId>${payload.volumeId}</ovirt-vm:volId>`;
  return `<ovirt-vm:device devtype="disk" name="hdd"><ovirt-vm:payload>${label}${files.join('')}</ovirt-vm:payload></ovirt-vm:device>`;
}

function disks({ uuid, diskPath, payload }: EngineVm): string {
  const seclabel = '<seclabel model="dac" type="none" relabel="no"/>';
  const empty = `<disk type="file" device="cdrom" snapshot="no"><driver name="qemu" type="raw" error_policy="report"/><source file="" startupPolicy="optional">${seclabel}</source><target dev="hdc" bus="ide"/><readonly/><alias name="ua-${uuid}-cd"/></disk>`;
  const withFiles = `<disk type="file" device="cdrom" snapshot="no"><driver name="qemu" type="raw" error_policy="report"/><source file="" startupPolicy="optional">${seclabel}</source><target dev="hdd" bus="ide"/><readonly/><alias name="ua-${uuid}-payload"/></disk>`;
  const hard = `<disk snapshot="no" type="file" device="disk"><target dev="vda" bus="virtio"/><source file="${diskPath ?? ''}">${seclabel}</source><driver name="qemu" discard="unmap" io="threads" type="raw" error_policy="stop" cache="none"/><alias name="ua-${uuid}-disk"/><serial>${uuid}</serial></disk>`;
  return empty + (payload ? withFiles : '') + (diskPath === undefined ? '' : hard);
}

export function engineXml(vm: EngineVm): string {
  const { name, uuid, memoryMiB = 32, boot = '', devices = '' } = vm;
  const kib = memoryMiB * 1024;
  const channel = (target: string): string =>
    `<channel type="unix"><target type="virtio" name="${target}"/><source mode="bind" path="/var/lib/libvirt/qemu/channels/${uuid}.${target}"/></channel>`;
  return `<?xml version="1.0" encoding="UTF-8"?><domain type="qemu" xmlns:ovirt-tune="http://ovirt.org/vm/tune/1.0" xmlns:ovirt-vm="http://ovirt.org/vm/1.0">
  <name>${name}</name><uuid>${uuid}</uuid><memory>${kib}</memory><currentMemory>${kib}</currentMemory><iothreads>1</iothreads>
  <vcpu current="1">2</vcpu>
  <sysinfo type="smbios"><system><entry name="manufacturer">oVirt</entry><entry name="product">OS-NAME:</entry><entry name="version">OS-VERSION:</entry><entry name="sku">oVirt</entry><entry name="family">oVirt</entry><entry name="serial">HOST-SERIAL:</entry></system></sysinfo>
  <clock offset="variable" adjustment="7200"><timer name="rtc" tickpolicy="catchup"/><timer name="pit" tickpolicy="delay"/><timer name="hpet" present="no"/></clock>
  ${vm.destroyOnReboot ? '<on_reboot>destroy</on_reboot>' : ''}<features><acpi/></features>
  <cputune/>
  <devices><input type="tablet" bus="usb"/>${channel('ovirt-guest-agent.0')}${channel('org.qemu.guest_agent.0')}
  <controller type="virtio-serial" index="0" ports="16"><alias name="ua-${uuid}-serial"/></controller>
  <controller type="usb" model="piix3-uhci" index="0"/>
  <memballoon model="virtio"><stats period="5"/><alias name="ua-${uuid}-balloon"/></memballoon>
  <rng model="virtio"><backend model="random">/dev/urandom</backend><alias name="ua-${uuid}-rng"/></rng>
  <graphics type="vnc" port="-1" autoport="yes" passwd="*****" passwdValidTo="1970-01-01T00:00:01" keymap="en-us"><listen type="address" address="127.0.0.1"/></graphics>
  <video><model type="vga" vram="16384" heads="1"/><alias name="ua-${uuid}-video"/></video>
  <console type="unix"><source path="/var/run/ovirt-vmconsole-console/${uuid}.sock" mode="bind"/><target type="serial" port="0"/><alias name="ua-${uuid}-console"/></console>
  ${disks(vm)}${devices}</devices>
  <pm><suspend-to-disk enabled="no"/><suspend-to-mem enabled="no"/></pm>
  <os><type arch="x86_64" machine="pc">hvm</type>${boot}<smbios mode="sysinfo"/></os>
  <metadata><ovirt-tune:qos/><ovirt-vm:vm><ovirt-vm:minGuaranteedMemoryMb type="int">${memoryMiB}</ovirt-vm:minGuaranteedMemoryMb><ovirt-vm:clusterVersion>4.7</ovirt-vm:clusterVersion><ovirt-vm:custom></ovirt-vm:custom><ovirt-vm:device devtype="disk" name="vda"><ovirt-vm:poolID>00000000-0000-0000-0000-000000000001</ovirt-vm:poolID><ovirt-vm:domainID>${uuid}</ovirt-vm:domainID><ovirt-vm:imageID>${uuid}</ovirt-vm:imageID><ovirt-vm:volumeID>${uuid}</ovirt-vm:volumeID></ovirt-vm:device><ovirt-vm:launchPaused>${String(vm.launchPaused ?? false)}</ovirt-vm:launchPaused>${payloadMetadata(vm)}<ovirt-vm:resumeBehavior>auto_resume</ovirt-vm:resumeBehavior><ovirt-vm:ballooningEnabled>true</ovirt-vm:ballooningEnabled><ovirt-vm:cpuPolicy>none</ovirt-vm:cpuPolicy></ovirt-vm:vm></metadata></domain>`;
}
