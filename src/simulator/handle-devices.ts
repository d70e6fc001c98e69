/**
 * Handlers that plug, unplug and change devices. Attaching takes effect at once; a guest lets go of a device when it
 * likes, and libvirt's call waits a while for that.
 */
import { DeviceFlag } from '../libvirt/enumerations.js';
import { affected, changeConfig } from './affect.js';
import { requireNoBlockJob } from './block-jobs.js';
import type { Call, Handlers } from './call.js';
import {
  attachDevice,
  findAlias,
  findByAlias,
  findDevice,
  requireDeviceElement,
  withoutDevice,
} from './device-change.js';
import type { Found } from './device-change.js';
import { updateDevice } from './device-update.js';
import type { SimulatedDomain } from './domain.js';
import { Fault } from './fault.js';
import type { XmlNodeElement } from '../util/xml-edit.js';
import { attributeAt, readXml } from './xml-text.js';

/** virDomainEventTrayChangeReason. */
const TrayChange = { open: 0, close: 1 } as const;

export const deviceHandlers = {
  DOMAIN_ATTACH_DEVICE_FLAGS(call, { dom, xml, flags }) {
    const domain = call.domain(dom);
    const element = readXml(xml);
    requireDeviceElement(element);
    return call.withChange(domain, () => {
      let alias: string | undefined;
      const names = {
        newTap: () => call.host.newTap(),
        nextNode: () => domain.nextNode(),
        sinceSec: domain.activeSec,
      };
      const where = affected(domain, flags);
      changeConfig(domain, where, (config, live) => {
        const attached = attachDevice(config, element, live ? names : undefined);
        if (live) alias = attached.alias;
        return attached.config;
      });
      if (alias === undefined) return;
      // libvirt 9.0 tells a memory module by the alias of its backend.
      const told = element.name === 'memory' ? `mem${alias}` : alias;
      call.host.emit(domain, { kind: 'deviceAdded', alias: told });
    });
  },
  DOMAIN_DETACH_DEVICE_FLAGS(call, { dom, xml, flags }) {
    const domain = call.domain(dom);
    const element = readXml(xml);
    requireDeviceElement(element);
    return call.withChange(domain, async () => {
      const where = affected(domain, flags);
      const defined = where.definition ? findDevice(domain.definition, element, false) : undefined;
      if (where.live) {
        const device = findDevice(domain.config, element, true);
        const answer = await call.within<UnplugAnswer>(domain, call.host.patienceMs, (done) =>
          unplug(call, domain, device, done),
        );
        if (answer === 'refused') {
          throw new Fault('operation-failed', 'unplug of device was rejected by the guest');
        }
      }
      if (defined) domain.definition = withoutDevice(domain.definition, defined);
    });
  },
  DOMAIN_DETACH_DEVICE_ALIAS(call, { dom, alias, flags }) {
    const domain = call.domain(dom);
    return call.withChange(domain, () => {
      const where = affected(domain, flags);
      const defined = where.definition ? findByAlias(domain.definition, alias) : undefined;
      if (where.live) unplug(call, domain, findByAlias(domain.config, alias), () => undefined);
      if (defined) domain.definition = withoutDevice(domain.definition, defined);
    });
  },
  DOMAIN_UPDATE_DEVICE_FLAGS(call, { dom, xml, flags }) {
    const domain = call.domain(dom);
    const element = readXml(xml);
    requireDeviceElement(element);
    return call.withChange(domain, async () => {
      const where = affected(domain, flags);
      let tray: string | undefined;
      const locked = where.live && (flags & DeviceFlag.force) === 0 && domain.guest.tray === 'locked';
      if (locked && isRemovable(domain, element)) await refuseTray(call, domain, element);
      changeConfig(domain, where, (config, live) => {
        const update = updateDevice(config, element, live ? 'live' : 'config', () => domain.nextNode());
        if (live) tray = update.tray?.alias;
        return update.config;
      });
      if (tray === undefined) return;
      call.host.emit(
        domain,
        { kind: 'trayChange', alias: tray, reason: TrayChange.open },
        { kind: 'trayChange', alias: tray, reason: TrayChange.close },
      );
    });
  },
} as const satisfies Handlers;

function isRemovable(domain: SimulatedDomain, element: XmlNodeElement): boolean {
  const target = attributeAt(element, 'target', 'dev');
  const disk = domain.config.disks.find((each) => each.target === target);
  return element.name === 'disk' && (disk?.device === 'cdrom' || disk?.device === 'floppy');
}

async function refuseTray(call: Call, domain: SimulatedDomain, element: XmlNodeElement): Promise<never> {
  await call.within(domain, call.host.patienceMs, () => undefined);
  const target = attributeAt(element, 'target', 'dev') ?? '';
  throw new Fault('operation-failed', `timed out waiting to open tray of '${target}'`);
}

type UnplugAnswer = 'gone' | 'refused';

/** Asks the guest to let a device go; a guest that ignores it never answers. */
function unplug(
  call: Call,
  domain: SimulatedDomain,
  device: Found,
  answered: (answer: UnplugAnswer) => void,
): void {
  if ('target' in device) requireNoBlockJob(domain, device.target);
  const { alias } = device;
  if (alias === undefined) throw new Fault('operation-unsupported', 'device cannot be detached');
  const { clock, patienceMs } = call.host;
  const now = clock.nowMs();
  if ((domain.unplugging.get(alias) ?? 0) > now) {
    throw new Fault(
      'internal',
      `unable to execute QEMU command 'device_del': Device ${alias} is already in the process of unplug`,
    );
  }
  // libvirt's own patience ends a little later: its next request is heard.
  domain.unplugging.set(alias, now + 0.9 * patienceMs);
  const { unplug: behaviour, unplugMs } = domain.guest;
  if (behaviour === 'ignores') return;
  domain.guestTimers.after(unplugMs, () => {
    domain.unplugging.delete(alias);
    const goes = behaviour === 'obeys';
    // A guest that was asked twice while it was paused answers once.
    const present = findAlias(domain.config, alias);
    if (!present) return;
    if (goes) domain.changeLive(withoutDevice(domain.config, present));
    call.host.emit(domain, { kind: goes ? 'deviceRemoved' : 'deviceRemovalFailed', alias });
    answered(goes ? 'gone' : 'refused');
  });
}
