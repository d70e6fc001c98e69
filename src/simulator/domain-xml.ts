/**
 * Prints a domain the way libvirt 9.0 prints it, live or inactive. Pure.
 *
 * Only what the configuration holds and what libvirt adds by itself (aliases, addresses, controllers, ports).
 */
import type { DiskConfig, DomainConfig, MetadataElement, NicConfig } from './domain-config.js';

/** What a running domain has beyond its configuration. */
export interface LiveParts {
  /** virDomain id. */
  readonly id: number;
  readonly vncPort: number;
  /** Host tap names, in the order of the NICs. */
  readonly taps: readonly string[];
  readonly agentConnected: boolean;
}

const escapes: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  "'": '&apos;',
  '"': '&quot;',
};

export function escapeXml(text: string): string {
  return text.replace(/[&<>'"]/g, (character) => escapes[character] ?? character);
}

/** @param live absent for the inactive document */
export function printDomain(config: DomainConfig, live?: LiveParts): string {
  const id = live ? ` id='${live.id}'` : '';
  return `<domain type='${config.type}'${id}>
  <name>${escapeXml(config.name)}</name>
  <uuid>${config.uuid}</uuid>
${textElement('title', config.title)}${textElement('description', config.description)}${printMetadata(config.metadata)}\
  <memory unit='KiB'>${config.memoryKiB}</memory>
  <currentMemory unit='KiB'>${config.currentMemoryKiB}</currentMemory>
  <vcpu placement='static'${config.vcpus < config.maxVcpus ? ` current='${config.vcpus}'` : ''}>${config.maxVcpus}</vcpu>
${live ? '  <resource>\n    <partition>/machine</partition>\n  </resource>\n' : ''}\
  <os>
    <type arch='x86_64' machine='${escapeXml(config.machine)}'>hvm</type>
    <boot dev='hd'/>
  </os>
  <features>
${config.acpi ? '    <acpi/>\n' : ''}    <apic/>
  </features>
  <cpu mode='custom' match='exact' check='full'>
    <model fallback='forbid'>qemu64</model>
    <feature policy='require' name='x2apic'/>
    <feature policy='require' name='hypervisor'/>
    <feature policy='require' name='lahf_lm'/>
    <feature policy='disable' name='svm'/>
  </cpu>
  <clock offset='variable' adjustment='0' basis='utc'>
    <timer name='rtc' tickpolicy='catchup'/>
    <timer name='pit' tickpolicy='delay'/>
    <timer name='hpet' present='no'/>
  </clock>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
${printDevices(config, live)}  </devices>
${live ? securityLabel : ''}</domain>
`;
}

const securityLabel = `  <seclabel type='dynamic' model='dac' relabel='yes'>
    <label>+64055:+64055</label>
    <imagelabel>+64055:+64055</imagelabel>
  </seclabel>
`;

function printDevices(config: DomainConfig, live?: LiveParts): string {
  const diskCount = config.disks.length;
  const devices = [
    ...config.disks.map((disk, index) => printDisk(disk, index, live ? diskCount - index : undefined)),
    printControllers(config, live !== undefined),
    ...config.nics.map((nic, index) => printNic(nic, index, live)),
    config.guestAgent ? printAgentChannel(config, live) : '',
    `    <input type='mouse' bus='ps2'>\n${alias('input0', live)}    </input>\n`,
    `    <input type='keyboard' bus='ps2'>\n${alias('input1', live)}    </input>\n`,
    config.vncListen === undefined ? '' : printGraphics(config.vncListen, live),
    "    <audio id='1' type='none'/>\n",
    `    <video>\n      <model type='cirrus' vram='16384' heads='1' primary='yes'/>\n${alias('video0', live)}` +
      `${pciAddress(0, 1)}    </video>\n`,
    config.balloonPeriodSec === undefined ? '' : printBalloon(config, config.balloonPeriodSec, live),
  ];
  return devices.join('');
}

function printDisk(disk: DiskConfig, index: number, nodeIndex: number | undefined): string {
  const attribute = disk.type === 'block' ? 'dev' : 'file';
  const node = nodeIndex === undefined ? '' : ` index='${nodeIndex}'`;
  const source = disk.path === '' ? '' : `      <source ${attribute}='${escapeXml(disk.path)}'${node}/>\n`;
  const ownAlias = disk.alias ?? (nodeIndex === undefined ? undefined : `${disk.bus}-disk${index}`);
  return `    <disk type='${disk.type}' device='${disk.device}'>
      <driver name='qemu' type='${escapeXml(disk.format)}'/>
${source}${nodeIndex === undefined ? '' : '      <backingStore/>\n'}\
      <target dev='${escapeXml(disk.target)}' bus='${escapeXml(disk.bus)}'/>
${disk.device === 'cdrom' ? '      <readonly/>\n' : ''}${textElement('serial', disk.serial, '      ')}\
${ownAlias === undefined ? '' : `      <alias name='${escapeXml(ownAlias)}'/>\n`}${pciAddress(4 + index, 0)}    </disk>
`;
}

function printControllers(config: DomainConfig, live: boolean): string {
  const ports = 6 + config.disks.length + config.nics.length;
  const rootPorts = Array.from(
    { length: ports },
    (_, port) => `    <controller type='pci' index='${port + 1}' model='pcie-root-port'>
      <model name='pcie-root-port'/>
      <target chassis='${port + 1}' port='0x${(0x10 + port).toString(16)}'/>
${live ? `      <alias name='pci.${port + 1}'/>\n` : ''}    </controller>
`,
  );
  return `    <controller type='usb' index='0' model='qemu-xhci'>
${live ? "      <alias name='usb'/>\n" : ''}${pciAddress(2, 0)}    </controller>
    <controller type='pci' index='0' model='pcie-root'${live ? ">\n      <alias name='pcie.0'/>\n    </controller>" : '/>'}
    <controller type='virtio-serial' index='0'>
${live ? "      <alias name='virtio-serial0'/>\n" : ''}${pciAddress(3, 0)}    </controller>
${rootPorts.join('')}`;
}

function printNic(nic: NicConfig, index: number, live?: LiveParts): string {
  const tap = live?.taps[index];
  const ownAlias = nic.alias ?? (live ? `net${index}` : undefined);
  return `    <interface type='${nic.bridge === undefined ? 'ethernet' : 'bridge'}'>
      <mac address='${escapeXml(nic.mac)}'/>
${nic.bridge === undefined ? '' : `      <source bridge='${escapeXml(nic.bridge)}'/>\n`}\
${tap === undefined ? '' : `      <target dev='${tap}'/>\n`}      <model type='${escapeXml(nic.model)}'/>
${ownAlias === undefined ? '' : `      <alias name='${escapeXml(ownAlias)}'/>\n`}${pciAddress(1, index)}    </interface>
`;
}

function printAgentChannel(config: DomainConfig, live?: LiveParts): string {
  const folder = '/var/lib/libvirt/qemu/channel/target';
  const source = live
    ? `      <source mode='bind' path='${folder}/domain-${live.id}-${escapeXml(config.name)}/org.qemu.guest_agent.0'/>\n`
    : '';
  const state = live ? ` state='${live.agentConnected ? 'connected' : 'disconnected'}'` : '';
  return `    <channel type='unix'>
${source}      <target type='virtio' name='org.qemu.guest_agent.0'${state}/>
${alias('channel0', live)}      <address type='virtio-serial' controller='0' bus='0' port='1'/>
    </channel>
`;
}

function printGraphics(listen: string, live?: LiveParts): string {
  const port = live ? live.vncPort : -1;
  return `    <graphics type='vnc' port='${port}' autoport='yes' listen='${escapeXml(listen)}'>
      <listen type='address' address='${escapeXml(listen)}'/>
    </graphics>
`;
}

function printBalloon(config: DomainConfig, periodSec: number, live?: LiveParts): string {
  return `    <memballoon model='virtio'>
${periodSec > 0 ? `      <stats period='${periodSec}'/>\n` : ''}${alias('balloon0', live)}\
${pciAddress(5 + config.disks.length, 0)}    </memballoon>
`;
}

function alias(name: string, live: LiveParts | undefined): string {
  return live ? `      <alias name='${name}'/>\n` : '';
}

function pciAddress(bus: number, slot: number): string {
  const hex = (value: number) => `0x${value.toString(16).padStart(2, '0')}`;
  return `      <address type='pci' domain='0x0000' bus='${hex(bus)}' slot='${hex(slot)}' function='0x0'/>\n`;
}

function textElement(name: string, text: string | undefined, indent = '  '): string {
  return text === undefined ? '' : `${indent}<${name}>${escapeXml(text)}</${name}>\n`;
}

function printMetadata(metadata: ReadonlyMap<string, MetadataElement>): string {
  if (metadata.size === 0) return '';
  const elements = [...metadata].map(
    ([uri, element]) => `${printElement(uri, element).replace(/^/gm, '    ')}\n`,
  );
  return `  <metadata>\n${elements.join('')}  </metadata>\n`;
}

/** Puts the namespace back: the prefix on every tag, its declaration on the outermost. */
function printElement(uri: string, element: MetadataElement): string {
  const prefixed = element.xml.replace(/<(\/?)([A-Za-z_][\w.-]*)/g, `<$1${element.key}:$2`);
  const declaration = ` xmlns:${element.key}="${escapeXml(uri)}"`;
  return prefixed.replace(/^<[\w.:-]+/, (tag) => tag + declaration);
}
