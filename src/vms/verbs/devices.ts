/**
 * Verbs that change the devices of a running VM: the table.
 */
import type { VerbResult, VmVerbTable } from '../../protocol/verbs.js';
import { DeviceWaits } from '../device-waits.js';
import type { OperationsParts } from '../operation.js';
import { setGuaranteedMemory } from './balloon.js';
import { changeMedium } from './change-media.js';
import { ConsoleDisconnects } from './console-disconnect.js';
import { askOut, plugIn, plugOut } from './hotplug.js';
import type { HotplugVerb, Plugged } from './hotplug.js';
import type { Shutdowns } from './shutdown.js';
import { setConsoleTicket, updateDevice } from './update-device.js';
import { setNumberOfCpus } from './vcpus.js';

export type DeviceVerb =
  | 'VM.setTicket'
  | 'VM.updateDevice'
  | 'VM.changeCD'
  | 'VM.changeFloppy'
  | 'VM.hotplugNic'
  | 'VM.hotunplugNic'
  | 'VM.hotplugDisk'
  | 'VM.hotunplugDisk'
  | 'VM.hotplugMemory'
  | 'VM.hotunplugMemory'
  | 'VM.setNumberOfCpus';

const plugs = {
  nicIn: { verb: 'VM.hotplugNic', kind: 'interface', otherwise: 'hotplugNic' },
  nicOut: { verb: 'VM.hotunplugNic', kind: 'interface', otherwise: 'hotunplugNic' },
  diskIn: { verb: 'VM.hotplugDisk', kind: 'disk', otherwise: 'hotplugDisk' },
  diskOut: { verb: 'VM.hotunplugDisk', kind: 'disk', otherwise: 'hotunplugDisk' },
  memoryIn: { verb: 'VM.hotplugMemory', kind: 'memory', otherwise: 'hotplugMem' },
  memoryOut: { verb: 'VM.hotunplugMemory', kind: 'memory', otherwise: 'hotunplugMem' },
} as const satisfies Record<string, HotplugVerb>;

const cdDrive = { verb: 'VM.changeCD', device: 'cdrom' } as const;
const floppyDrive = { verb: 'VM.changeFloppy', device: 'floppy' } as const;

/** @param shutdowns what a console's last user may leave behind */
export function deviceVerbs(parts: OperationsParts, shutdowns: Shutdowns): VmVerbTable<DeviceVerb> {
  const waits = new DeviceWaits(parts);
  const consoles = new ConsoleDisconnects(parts, shutdowns);
  return {
    'VM.setTicket': (id, input) => setConsoleTicket(parts, id, input).then(() => true as const),
    'VM.updateDevice': (id, { params }) => updateDevice(parts, consoles, id, params).then(() => ({})),
    'VM.changeCD': (id, { driveSpec }) => changeMedium(parts, id, cdDrive, driveSpec).then(() => ({})),
    'VM.changeFloppy': (id, { driveSpec }) =>
      changeMedium(parts, id, floppyDrive, driveSpec).then(() => ({})),
    'VM.hotplugNic': (id, { params: { xml } }) => plugIn(parts, id, plugs.nicIn, xml).then(nicReply),
    'VM.hotunplugNic': (id, { params: { xml } }) =>
      plugOut(parts, waits, { id, what: plugs.nicOut, xml }).then(() => ({})),
    'VM.hotplugDisk': (id, { params: { xml } }) => plugIn(parts, id, plugs.diskIn, xml).then(() => ({})),
    'VM.hotunplugDisk': (id, { params: { xml } }) =>
      plugOut(parts, waits, { id, what: plugs.diskOut, xml }).then(() => ({})),
    'VM.hotplugMemory': async (id, { params: { xml, memGuaranteedSize } }) => {
      await plugIn(parts, id, plugs.memoryIn, xml);
      await setGuaranteedMemory(parts, id, memGuaranteedSize);
      return {};
    },
    'VM.hotunplugMemory': async (id, { params: { xml, memGuaranteedSize } }) => {
      await askOut(parts, waits, { id, what: plugs.memoryOut, xml });
      await setGuaranteedMemory(parts, id, memGuaranteedSize);
      return true as const;
    },
    'VM.setNumberOfCpus': (id, { numberOfCpus, cpusets }) =>
      setNumberOfCpus(parts, id, numberOfCpus, cpusets).then(() => ({})),
  };
}

function nicReply({ domain, names }: Plugged): VerbResult<'VM.hotplugNic'> {
  const nics = domain.nics.filter(({ mac }) => mac.toLowerCase() === names.mac);
  return { devices: nics.map(({ mac, alias }) => ({ macAddr: mac, alias })), xml: domain.xml };
}
