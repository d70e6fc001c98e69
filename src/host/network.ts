/**
 * The host's network interfaces, from sysfs: what they are, and how getCapabilities and getStats show them.
 *
 * The agent does not configure networks. A bridge of the host is shown as a bridged network of its own name, since
 * that is what a VM's NIC can be plugged into. How an address was obtained is not known and not said.
 */
import type { NetworkInterfaceInfo } from 'node:os';
import type { HostFiles } from './host-files.js';
import { integer, parseDefaultGateways, parseVlans, type NetCounters } from './proc.js';

export type InterfaceKind = 'nic' | 'bridge' | 'bond' | 'vlan';

export interface InterfaceFacts {
  readonly name: string;
  readonly kind: InterfaceKind;
  readonly hwaddr: string;
  readonly mtu: number;
  /** Mbit/s; 0 where the driver does not know. */
  readonly speedMbps: number;
  readonly up: boolean;
  /** Members of a bridge or bond. */
  readonly members: readonly string[];
  readonly bondMode?: string;
  readonly vlan?: { readonly iface: string; readonly tag: number };
  readonly gateway: string;
}

/** os.networkInterfaces(): interfaces that are up, with their addresses. */
export type Addresses = Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>;

/** Interfaces of the host itself; loopback, VMs' tap devices and other virtual ends are left out. */
export async function readInterfaces(files: HostFiles): Promise<InterfaceFacts[]> {
  const names = await files.list('sys', 'class/net');
  const gateways = parseDefaultGateways((await files.text('proc', 'net/route')) ?? '');
  const vlans = parseVlans((await files.text('proc', 'net/vlan/config')) ?? '');
  const found = await Promise.all(
    names.map(async (name) => {
      // A host has thousands of taps: they must cost no more than this question.
      const kind = vlans.has(name) ? 'vlan' : await kindOf(files, name);
      return (
        kind && readInterface(files, { name, kind, vlan: vlans.get(name), gateway: gateways.get(name) ?? '' })
      );
    }),
  );
  return found.filter((one) => one !== undefined);
}

async function kindOf(files: HostFiles, name: string): Promise<InterfaceKind | undefined> {
  if (await files.exists('sys', `class/net/${name}/device`)) return 'nic';
  if (await files.exists('sys', `class/net/${name}/bridge`)) return 'bridge';
  return (await files.exists('sys', `class/net/${name}/bonding`)) ? 'bond' : undefined;
}

async function readInterface(
  files: HostFiles,
  known: Pick<InterfaceFacts, 'name' | 'kind' | 'gateway'> & {
    readonly vlan: InterfaceFacts['vlan'] | undefined;
  },
): Promise<InterfaceFacts> {
  const { name, kind, gateway, vlan } = known;
  const folder = `class/net/${name}`;
  const line = (file: string): Promise<string | undefined> => files.line('sys', `${folder}/${file}`);
  const members = async (): Promise<string[]> => {
    if (kind === 'bridge') return files.list('sys', `${folder}/brif`);
    return kind === 'bond' ? ((await line('bonding/slaves'))?.split(/\s+/).filter(Boolean) ?? []) : [];
  };
  const state = await line('operstate');
  // The file has name and number: "active-backup 1".
  const bondMode = kind === 'bond' ? (await line('bonding/mode'))?.split(/\s+/)[1] : undefined;
  return {
    name,
    kind,
    gateway,
    hwaddr: (await line('address')) ?? '',
    mtu: integer(await line('mtu')) ?? 0,
    speedMbps: Math.max(0, integer(await line('speed')) ?? 0),
    // Drivers without link detection say unknown and work.
    up: state === 'up' || (state === 'unknown' && (await line('carrier')) !== '0'),
    members: await members(),
    ...(bondMode !== undefined && { bondMode }),
    ...(vlan && { vlan }),
  };
}

/** networks, bridges, nics, bondings and vlans of getCapabilities. */
export function networkCapabilities(
  interfaces: readonly InterfaceFacts[],
  addresses: Addresses,
): Record<string, Record<string, object>> {
  const of = (kind: InterfaceKind, show: (one: InterfaceFacts) => object): Record<string, object> =>
    Object.fromEntries(interfaces.filter((one) => one.kind === kind).map((one) => [one.name, show(one)]));
  const ip = (one: InterfaceFacts): object => ({
    mtu: one.mtu,
    ...addressMembers(one, addresses[one.name] ?? []),
  });
  return {
    networks: of('bridge', (one) => ({
      iface: one.name,
      bridged: true,
      switch: 'legacy',
      ports: one.members,
      ...ip(one),
    })),
    bridges: of('bridge', (one) => ({ ports: one.members, hwaddr: one.hwaddr, ...ip(one) })),
    nics: of('nic', (one) => ({ hwaddr: one.hwaddr, speed: one.speedMbps, ...ip(one) })),
    bondings: of('bond', (one) => ({
      slaves: one.members,
      hwaddr: one.hwaddr,
      speed: one.speedMbps,
      opts: { mode: one.bondMode ?? '' },
      ...ip(one),
    })),
    vlans: of('vlan', (one) => ({ iface: one.vlan?.iface ?? '', vlanid: one.vlan?.tag ?? 0, ...ip(one) })),
  };
}

function addressMembers(one: InterfaceFacts, addresses: readonly NetworkInterfaceInfo[]): object {
  const v4 = addresses.filter(({ family }) => family === 'IPv4');
  const cidrs = (family: string): string[] =>
    addresses.flatMap((each) => (each.family === family ? (each.cidr ?? []) : []));
  return {
    addr: v4[0]?.address ?? '',
    netmask: v4[0]?.netmask ?? '',
    gateway: one.gateway,
    ipv4addrs: cidrs('IPv4'),
    ipv6addrs: cidrs('IPv6'),
  };
}

/** `network` of getStats. Numbers as text and counters since boot: the engine makes the rates. */
export function networkStats(
  interfaces: readonly InterfaceFacts[],
  counters: ReadonlyMap<string, NetCounters>,
  sampleTimeSec: number,
): Record<string, object> {
  return Object.fromEntries(
    interfaces.flatMap((one) => {
      const count = counters.get(one.name);
      if (!count) return [];
      const entry = {
        name: one.name,
        state: one.up ? 'up' : 'down',
        speed: String(one.speedMbps),
        rx: String(count.rxBytes),
        tx: String(count.txBytes),
        rxErrors: String(count.rxErrors),
        txErrors: String(count.txErrors),
        rxDropped: String(count.rxDropped),
        txDropped: String(count.txDropped),
        sampleTime: sampleTimeSec.toFixed(3),
      };
      return [[one.name, entry]];
    }),
  );
}
