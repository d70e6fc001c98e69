/** A small host as files: two sockets of one core with two threads, one NIC in a bridge, a bond, a VLAN and a tap. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { HypervisorHostInfo } from '../../../src/domain/hypervisor.js';
import type { Addresses } from '../../../src/host/network.js';

const cpu = (processor: number, socket: number): string =>
  `processor\t: ${processor}\nmodel name\t: Test CPU @ 2.00GHz\ncpu MHz\t\t: 2000.123\nphysical id\t: ${socket}\n` +
  `core id\t\t: 0\nflags\t\t: fpu vme sse4_1\n`;

export const cpuinfo = [cpu(0, 0), cpu(1, 0), cpu(2, 1), cpu(3, 1)].join('\n');

/** user nice system idle iowait irq softirq steal guest guest_nice */
export const stat = `cpu  1000 100 400 8000 200 50 50 200 30 0
cpu0 500 50 200 4000 100 25 25 100 15 0
cpu1 500 50 200 4000 100 25 25 100 15 0
intr 858236 0 0 24
btime 1795177664
procs_running 4
`;

export const netDev = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:    3193      29    0    0    0     0          0         0     3193      29    0    0    0     0       0          0
  eth0:202483005    5630    1    2    0     0          0         0   429725    3607    3    4    0     0       0          0
ovirtmgmt: 1000 10 0 0 0 0 0 0 2000 20 0 0 0 0 0 0
bond0.100: 5 1 0 0 0 0 0 0 6 1 0 0 0 0 0 0
 vnet0:      77       1    0    0    0     0          0         0       88       1    0    0    0     0       0          0
`;

export const route = `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
ovirtmgmt	000200C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
ovirtmgmt	00000000	010200C0	0003	0	0	0	00000000	0	0	0
`;

export const vlanConfig = `VLAN Dev name	 | VLAN ID
Name-Type: VLAN_NAME_TYPE_RAW_PLUS_VID_NO_PAD
bond0.100      | 100  | bond0
`;

export const meminfo = `MemTotal:       24684096 kB
MemFree:        10485760 kB
MemAvailable:   20971520 kB
Buffers:            1024 kB
Cached:          1047552 kB
SwapTotal:       2097152 kB
SwapFree:        1048576 kB
Active(anon):       1588 kB
AnonHugePages:      4096 kB
HugePages_Total:       0
`;

export const osRelease = `PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION_CODENAME=bookworm
# a comment
HOME_URL='https://www.debian.org/'
`;

/** Path below the folder, and text. A path that ends in a slash is an empty folder. */
const files: Readonly<Record<string, string>> = {
  'proc/cpuinfo': cpuinfo,
  'proc/meminfo': meminfo,
  'proc/stat': stat,
  'proc/loadavg': '3.69 3.93 2.31 7/205 28446\n',
  'proc/net/dev': netDev,
  'proc/net/route': route,
  'proc/net/vlan/config': vlanConfig,
  'proc/sys/kernel/numa_balancing': '1\n',
  'proc/sys/kernel/random/boot_id': 'c0ff5dcd-4588-4ae7-89a8-e9aead532297\n',
  'proc/sys/crypto/fips_enabled': '1\n',
  'sys/class/net/lo/address': '00:00:00:00:00:00\n',
  'sys/class/net/eth0/device/': '',
  'sys/class/net/eth0/address': '02:fc:00:00:00:01\n',
  'sys/class/net/eth0/mtu': '1500\n',
  'sys/class/net/eth0/speed': '10000\n',
  'sys/class/net/eth0/operstate': 'up\n',
  'sys/class/net/ovirtmgmt/bridge/': '',
  'sys/class/net/ovirtmgmt/brif/eth0': '',
  'sys/class/net/ovirtmgmt/address': '02:fc:00:00:00:01\n',
  'sys/class/net/ovirtmgmt/mtu': '1500\n',
  'sys/class/net/ovirtmgmt/operstate': 'unknown\n',
  'sys/class/net/bond0/bonding/mode': 'active-backup 1\n',
  'sys/class/net/bond0/bonding/slaves': 'eth1 eth2\n',
  'sys/class/net/bond0/speed': '-1\n',
  'sys/class/net/bond0/operstate': 'down\n',
  'sys/class/net/bond0.100/mtu': '1400\n',
  'sys/class/net/bond0.100/operstate': 'lowerlayerdown\n',
  'sys/class/net/vnet0/operstate': 'unknown\n',
  'sys/class/net/bonding_masters': 'bond0\n',
  'sys/class/dmi/id/product_uuid': '4114E4C3-59D9-45D1-8A08-461C30A2184A\n',
  'sys/devices/system/cpu/online': '0-2\n',
  'sys/devices/system/node/node0/meminfo':
    'Node 0 MemTotal:        5204184 kB\nNode 0 MemFree:         2602092 kB\n',
  'sys/devices/system/node/node0/cpulist': '0\n',
  'sys/devices/system/node/node1/cpulist': '1-3\n',
  'sys/fs/selinux/enforce': '1',
  'sys/kernel/kexec_crash_loaded': '0\n',
  'sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages': '8\n',
  'sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages': '5\n',
  'sys/kernel/mm/ksm/run': '1\n',
  'sys/kernel/mm/ksm/pages_to_scan': '100\n',
  'sys/kernel/mm/ksm/pages_sharing': '5120\n',
  'sys/kernel/mm/transparent_hugepage/enabled': 'always [madvise] never\n',
  'dev/urandom': '',
  'etc/os-release': osRelease,
  'etc/resolv.conf': '# made by hand\nsearch example.org\nnameserver 192.0.2.53\nnameserver 2001:db8::53\n',
};

export interface HostFixture {
  readonly procRoot: string;
  readonly sysRoot: string;
  readonly devRoot: string;
  readonly etcRoot: string;
  write(path: string, text: string): void;
  remove(): void;
}

export function makeHost(content: Readonly<Record<string, string>> = files): HostFixture {
  const folder = mkdtempSync(join(tmpdir(), 'vdsm-agent-host-'));
  const write = (path: string, text: string): void => {
    const file = join(folder, path);
    mkdirSync(path.endsWith('/') ? file : dirname(file), { recursive: true });
    if (!path.endsWith('/')) writeFileSync(file, text);
  };
  for (const [path, text] of Object.entries(content)) write(path, text);
  return {
    procRoot: join(folder, 'proc'),
    sysRoot: join(folder, 'sys'),
    devRoot: join(folder, 'dev'),
    etcRoot: join(folder, 'etc'),
    write,
    remove: () => rmSync(folder, { recursive: true }),
  };
}

const place = { mac: '02:fc:00:00:00:01', internal: false };
export const addresses: Addresses = {
  ovirtmgmt: [
    { ...place, family: 'IPv4', address: '192.0.2.2', netmask: '255.255.255.0', cidr: '192.0.2.2/24' },
    {
      ...place,
      family: 'IPv6',
      address: 'fd00::2',
      netmask: 'ffff:ffff:ffff:ffff::',
      cidr: 'fd00::2/64',
      scopeid: 0,
    },
  ],
};

export const capabilitiesXml = `<capabilities>
  <host>
    <uuid>11111111-59d9-45d1-8a08-461c30a2184a</uuid>
    <cpu>
      <arch>x86_64</arch>
      <model>kvm64</model>
      <counter name='tsc' frequency='2596136000' scaling='no'/>
      <topology sockets='2' dies='1' cores='1' threads='2'/>
    </cpu>
    <iommu support='yes'/>
    <topology>
      <cells num='2'>
        <cell id='0'>
          <memory unit='KiB'>5204184</memory>
          <distances><sibling id='0' value='10'/><sibling id='1' value='21'/></distances>
          <cpus num='1'><cpu id='0' socket_id='0' die_id='0' core_id='0' siblings='0'/></cpus>
        </cell>
        <cell id='1'>
          <memory unit='KiB'>2048</memory>
          <distances><sibling id='0' value='21'/><sibling id='1' value='10'/></distances>
          <cpus num='2'>
            <cpu id='1' socket_id='1' die_id='0' core_id='0' siblings='1-2'/>
            <cpu id='2' socket_id='1' die_id='0' core_id='0' siblings='1-2'/>
          </cpus>
        </cell>
      </cells>
    </topology>
  </host>
  <guest>
    <os_type>hvm</os_type>
    <arch name='i686'><machine maxCpus='1'>only-for-i686</machine><domain type='qemu'/></arch>
  </guest>
  <guest>
    <os_type>hvm</os_type>
    <arch name='x86_64'>
      <wordsize>64</wordsize>
      <machine maxCpus='255'>pc-i440fx-7.2</machine>
      <machine canonical='pc-i440fx-7.2' maxCpus='255'>pc</machine>
      <machine maxCpus='288'>pc-q35-7.2</machine>
      <domain type='qemu'/>
      <domain type='kvm'/>
    </arch>
  </guest>
</capabilities>`;

export const domainCapabilitiesXml = `<domainCapabilities>
  <domain>kvm</domain>
  <cpu>
    <mode name='host-model' supported='yes'><model fallback='forbid'>EPYC-Rome</model></mode>
    <mode name='custom' supported='yes'>
      <model usable='no' vendor='unknown'>qemu64</model>
      <model usable='yes' vendor='Intel'>Nehalem</model>
      <model usable='yes' vendor='AMD'>EPYC</model>
    </mode>
  </cpu>
</domainCapabilities>`;

export const hostInfo: HypervisorHostInfo = {
  hypervisorType: 'QEMU',
  hypervisorVersion: '7.2.22',
  libraryVersion: '9.0.0',
  hostname: 'host1',
  uri: 'qemu:///system',
  node: {
    model: 'x86_64',
    memoryKiB: 5_206_232,
    cpus: 3,
    mhz: 2000,
    numaNodes: 2,
    socketsPerNode: 1,
    coresPerSocket: 1,
    threadsPerCore: 2,
  },
  capabilitiesXml,
  domainCapabilitiesXml,
};
