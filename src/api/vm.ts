/**
 * Handlers of VM.*: one VM, named by `vmID`. What changes a VM goes through VmOperations, which keeps one operation
 * per VM at a time; the dispatcher holds the VM's events until the reply is queued.
 */
import { VerbError } from '../domain/errors.js';
import { parseVmId, type VmId } from '../domain/ids.js';
import type { Vm } from '../domain/vm.js';
import type { VerbsOf } from '../protocol/verbs.js';
import {
  EncodedResult,
  type ApiParts,
  type Handlers,
  type OperationVerb,
  type VmOperations,
} from './call.js';
import { vmBrief } from './host.js';

const open = Buffer.from('[');
const close = Buffer.from(']');

/**
 * Ids in a domain's XML, found without parsing: the domain's own is among them, and a hold on another costs nothing.
 * They are held before the operation, which parses the XML, announces the VM. (`vmID` is no help: VDSM ignores it, and
 * callers may leave it out.)
 */
const uuidElement = /<uuid\b[^<>]*>\s*([^<\s]+)\s*<\/uuid\s*>/g;
const MAX_IDS = 16;

function idsIn(xml: string): VmId[] {
  const ids = Array.from(xml.matchAll(uuidElement), (match) => parseVmId(match[1]));
  return [...new Set(ids)].filter((id) => id !== undefined).slice(0, MAX_IDS);
}

export function vmHandlers(parts: ApiParts): Handlers<VerbsOf<'VM'>> {
  const { vms, snapshot, operations, clock } = parts;
  /** The turn of the last VM.create; the next one has a later one. */
  let creations = Promise.resolve();

  /** @throws VerbError noVM; a text that is no UUID is simply no VM's id */
  const find = (vmID: string): Vm => {
    const id = parseVmId(vmID);
    const vm = id === undefined ? undefined : vms.get(id);
    if (!vm) throw noVm(vmID);
    return vm;
  };
  const idOf = (vmID: string): VmId => find(vmID).id;

  return {
    'VM.getStats': ({ vmID }) => {
      const record = snapshot.record(idOf(vmID));
      if (!record) throw noVm(vmID);
      return new EncodedResult([open, record, close]);
    },
    // VDSM answers -32603 for an unknown VM here, by accident (an index error); 1 is what every other verb says.
    'VM.getInfo': ({ vmID }) => vmBrief(find(vmID), clock),
    'VM.create': async ({ vmParams }, call) => {
      for (const id of idsIn(vmParams.xml)) call.hold(id);
      // Hundreds may come at once, and each is some XML to parse.
      await (creations = creations.then(nextTurn));
      return operations.create(vmParams);
    },
    ...onOneVm(operations.verbs, idOf),
  };
}

type OperationHandlers = Handlers<OperationVerb>;

/** A handler for each verb of the table. */
function onOneVm(table: VmOperations['verbs'], idOf: (vmID: string) => VmId): OperationHandlers {
  const handlers = Object.entries(table).map(([verb, run]) => [
    verb,
    (input: { readonly vmID: string }) => run(idOf(input.vmID), input as never),
  ]);
  return Object.fromEntries(handlers) as OperationHandlers;
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function noVm(vmID: string): VerbError {
  return new VerbError('noVM', { vmId: vmID.length > 100 ? `${vmID.slice(0, 100)}...` : vmID });
}
