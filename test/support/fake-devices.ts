/**
 * Devices of the fake hypervisor. The guest lets devices go at once, or, where a test has set `unplug` to 'held', at
 * release() or refuse().
 */
import { HypervisorError } from '../../src/domain/hypervisor.js';
import type { DeviceCalls, Screenshot } from '../../src/domain/hypervisor-verbs.js';
import type { VmId } from '../../src/domain/ids.js';
import { xmlElement } from '../../src/util/xml-edit.js';
import {
  aliasOf,
  devicesOf,
  edited,
  findDevice,
  makeLive,
  parsedForEdit,
  requireDevice,
  requireDisk,
  targetOf,
  updateElement,
} from './fake-xml.js';
import { describeXml } from './fake-domain.js';
import type { FakeDomain } from './fake-domain.js';
import { domainOf, failed, wrongState } from './fake-world.js';
import type { FakeWorld } from './fake-world.js';

/** Eight bytes that every PNG begins with, and no picture. */
export const SCREENSHOT = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

export class FakeDevices implements DeviceCalls {
  unplug: 'at-once' | 'held' = 'at-once';
  /** Targets of drives whose tray the guest has locked: updates without force fail. */
  readonly lockedTrays = new Set<string>();

  constructor(private readonly world: FakeWorld) {}

  async attach(id: VmId, xml: string): Promise<void> {
    const domain = await this.world.enterActive('devices.attach', id, { xml });
    const device = parsedForEdit(xml);
    const target = targetOf(device);
    if (device.name === 'disk' && findDevice(parsedForEdit(domain.live), device)) {
      throw new HypervisorError('unsupported', `target '${String(target)}' duplicated for disk sources`);
    }
    let alias = '';
    domain.live = edited(domain.live, (live) => {
      alias = makeLive(live, device);
      live.ensure('devices').append(device);
    });
    define(domain, (definition) => definition.ensure('devices').append(parsedForEdit(xml)));
    this.world.emit(id, { kind: 'device-added', alias });
  }

  async detach(id: VmId, xml: string): Promise<void> {
    const domain = await this.world.enterActive('devices.detach', id, { xml });
    const wanted = parsedForEdit(xml);
    const alias = aliasOf(requireDevice(parsedForEdit(domain.live), wanted)) ?? '';
    define(domain, (definition) => {
      const device = findDevice(definition, wanted);
      if (device) definition.ensure('devices').remove(device);
    });
    if (this.unplug === 'at-once') this.release(id, alias);
  }

  /** The guest lets go of a device. */
  release(id: VmId, alias: string): void {
    const domain = domainOf(this.world, id);
    domain.live = edited(domain.live, (live) => {
      for (const device of devicesOf(live)) {
        if (aliasOf(device) === alias) live.ensure('devices').remove(device);
      }
    });
    this.world.emit(id, { kind: 'device-removed', alias });
  }

  /** The guest keeps a device that it was asked for. */
  refuse(id: VmId, alias: string): void {
    this.world.emit(id, { kind: 'device-removal-failed', alias });
  }

  async update(
    id: VmId,
    xml: string,
    how: { readonly force: boolean; readonly persist: boolean },
  ): Promise<void> {
    const domain = await this.world.enterActive('devices.update', id, { xml, ...how });
    const given = parsedForEdit(xml);
    const target = targetOf(given) ?? '';
    if (given.name === 'disk') requireDisk(parsedForEdit(domain.live), target);
    requireDevice(parsedForEdit(domain.live), given);
    if (this.lockedTrays.has(target) && !how.force) {
      throw failed(`internal error: unable to execute QEMU command 'eject': Device '${target}' is locked`);
    }
    this.lockedTrays.delete(target);
    domain.live = edited(domain.live, (live) => updateElement(requireDevice(live, given), given));
    if (!how.persist) return;
    define(domain, (definition) => {
      const defined = findDevice(definition, given);
      if (defined) updateElement(defined, given);
    });
  }

  async setVcpus(id: VmId, count: number): Promise<void> {
    const domain = await this.world.enterActive('devices.setVcpus', id, { count });
    const max = Number(parsedForEdit(domain.live).child('vcpu')?.text ?? 1);
    if (count < 1 || count > max) {
      throw failed(
        `invalid argument: requested vcpus is greater than max allowable vcpus: ${count} > ${max}`,
      );
    }
    changeBoth(domain, (xml) => xml.ensure('vcpu').attributes.set('current', String(count)));
  }

  async pinVcpu(id: VmId, vcpu: number, cpus: readonly number[]): Promise<void> {
    const domain = await this.world.enterActive('devices.pinVcpu', id, { vcpu, cpus });
    const max = Number(parsedForEdit(domain.live).child('vcpu')?.text ?? 1);
    if (vcpu >= max) throw failed(`invalid argument: vcpu ${vcpu} is not present in the domain`);
    domain.live = edited(domain.live, (live) => {
      const tune = live.ensure('cputune');
      for (const pin of tune.children('vcpupin')) {
        if (pin.attribute('vcpu') === String(vcpu)) tune.remove(pin);
      }
      tune.append(xmlElement('vcpupin', { vcpu: String(vcpu), cpuset: cpus.join(',') }));
    });
    this.world.emit(id, { kind: 'tunable', values: { [`cputune.vcpupin${vcpu}`]: cpus.join(',') } });
  }

  async setMemory(id: VmId, memoryKiB: number): Promise<void> {
    const domain = await this.world.enterActive('devices.setMemory', id, { memoryKiB });
    const live = parsedForEdit(domain.live);
    if (memoryKiB > describeXml(domain.live).memoryKiB) {
      throw failed('invalid argument: cannot set memory higher than max memory');
    }
    if (!live.child('devices')?.child('memballoon')) {
      throw wrongState('Unable to change memory of active domain without the balloon device');
    }
    domain.live = edited(domain.live, (each) => {
      each.ensure('currentMemory').attributes.set('unit', 'KiB');
      each.ensure('currentMemory').text = String(memoryKiB);
    });
    this.world.emit(id, { kind: 'balloon-change', actualKiB: memoryKiB });
  }

  async screenshot(id: VmId): Promise<Screenshot> {
    const domain = await this.world.enterActive('devices.screenshot', id);
    if (!parsedForEdit(domain.live).child('devices')?.child('video')) {
      throw wrongState('no screens to take screenshot from');
    }
    return { mimeType: 'image/png', data: SCREENSHOT };
  }
}

function define(domain: FakeDomain, change: Parameters<typeof edited>[1]): void {
  if (domain.definition !== undefined) domain.definition = edited(domain.definition, change);
}

function changeBoth(domain: FakeDomain & { live: string }, change: Parameters<typeof edited>[1]): void {
  domain.live = edited(domain.live, change);
  define(domain, change);
}
