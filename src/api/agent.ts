/**
 * Handlers of Agent.* and rpc.discover: this agent's own verbs, which VDSM does not have.
 */
import { statusBlock } from '../domain/vm-record.js';
import type { Vm } from '../domain/vm.js';
import type { StatusBlock } from '../protocol/schema-types.js';
import type { VerbsOf } from '../protocol/verbs.js';
import { engineTime } from '../util/time.js';
import { EncodedResult, type ApiParts, type Handlers } from './call.js';
import { openRpcDocument } from './open-rpc.js';

export function agentHandlers(parts: ApiParts): Handlers<VerbsOf<'Agent'> | VerbsOf<'rpc'>> {
  const { vms, health, clock } = parts;
  let discovery: EncodedResult | undefined;
  return {
    'Agent.getHealth': () => health.health(),
    'Agent.subscribe': ({ resume }, { peer }) => {
      // Position and snapshot are taken in one turn, so no event falls between the two.
      const { epoch, seq, missed } = peer.subscribe(resume);
      if (missed) return { epoch, seq, missed: [...missed] };
      const statusTime = String(engineTime(clock.nowMs()));
      return { epoch, seq, vms: Array.from(vms.all(), (vm) => blockOf(vm, statusTime)) };
    },
    'Agent.unsubscribe': (_input, { peer }) => {
      peer.unsubscribe();
      return true;
    },
    'rpc.discover': () => (discovery ??= new EncodedResult([Buffer.from(JSON.stringify(openRpcDocument()))])),
  };
}

function blockOf(vm: Vm, statusTime: string): StatusBlock {
  return {
    ...statusBlock(vm),
    vmId: vm.id,
    statusTime,
    ...(vm.status === 'Paused' && vm.pauseCode !== undefined && { pauseCode: vm.pauseCode }),
  };
}
