/** CPU bandwidth and disk limits of the fake hypervisor. */
import { HypervisorError } from '../../src/domain/hypervisor.js';
import type { DiskLimits, TuningCalls } from '../../src/domain/hypervisor-verbs.js';
import type { VmId } from '../../src/domain/ids.js';
import { xmlElement } from '../../src/util/xml-edit.js';
import { edited, parsedForEdit, requireDisk } from './fake-xml.js';
import { failed } from './fake-world.js';
import type { FakeWorld } from './fake-world.js';

const kinds = ['bytes_sec', 'iops_sec', 'bytes_sec_max', 'iops_sec_max'];
/** libvirt keeps limits of a kind that no new one belongs to. */
const limitNames = [
  ...kinds.flatMap((kind) => ['total', 'read', 'write'].map((way) => `${way}_${kind}`)),
  'size_iops_sec',
];

export class FakeTuning implements TuningCalls {
  constructor(private readonly world: FakeWorld) {}

  async setScheduler(
    id: VmId,
    values: { readonly vcpuQuota?: number; readonly vcpuPeriod?: number },
  ): Promise<void> {
    const domain = await this.world.enterActive('tuning.setScheduler', id, values);
    const { vcpuPeriod = domain.vcpuPeriod, vcpuQuota = domain.vcpuQuota } = values;
    if (vcpuPeriod < 1000 || vcpuPeriod > 1_000_000) throw failed(`invalid argument: period ${vcpuPeriod}`);
    Object.assign(domain, { vcpuPeriod, vcpuQuota });
    this.world.emit(id, { kind: 'tunable', values: { 'cputune.vcpu_quota': vcpuQuota } });
  }

  async diskLimits(id: VmId, disk: string): Promise<DiskLimits> {
    const domain = await this.world.enterActive('tuning.diskLimits', id, { disk });
    const tune = requireDisk(parsedForEdit(domain.live), disk).child('iotune');
    return Object.fromEntries(limitNames.map((name) => [name, Number(tune?.child(name)?.text ?? 0)]));
  }

  async setDiskLimits(id: VmId, disk: string, limits: DiskLimits): Promise<void> {
    const domain = await this.world.enterActive('tuning.setDiskLimits', id, { disk, limits });
    for (const name of Object.keys(limits)) {
      if (!limitNames.includes(name))
        throw new HypervisorError('unsupported', `argument unsupported: parameter '${name}' not supported`);
    }
    for (const kind of kinds) {
      const total = limits[`total_${kind}`] ?? 0;
      if (total > 0 && (limits[`read_${kind}`] ?? 0) + (limits[`write_${kind}`] ?? 0) > 0) {
        throw failed(`invalid argument: total and read/write of ${kind} cannot be set at the same time`);
      }
    }
    const touched = (name: string): boolean =>
      Object.keys(limits).some((each) => kindOf(each) === kindOf(name));
    domain.live = edited(domain.live, (live) => {
      const element = requireDisk(live, disk);
      const old = element.child('iotune');
      if (old) element.remove(old);
      const values = limitNames.map((name): [string, string] => [
        name,
        touched(name) ? String(limits[name] ?? 0) : (old?.child(name)?.text ?? '0'),
      ]);
      const set = values.filter(([, value]) => value !== '0');
      if (set.length > 0)
        element.append(
          xmlElement(
            'iotune',
            {},
            set.map(([name, value]) => xmlElement(name, {}, value)),
          ),
        );
    });
    const told = Object.entries(limits).map(([name, value]) => [`blkdeviotune.${name}`, value]);
    const values = { 'blkdeviotune.disk': disk, ...(Object.fromEntries(told) as DiskLimits) };
    this.world.emit(id, { kind: 'tunable', values });
  }
}

function kindOf(name: string): string {
  return name.replace(/^(total|read|write)_/, '');
}
