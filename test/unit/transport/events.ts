/** Events and a fan-out for the tests of this folder. */
import { parseVmId, type VmId } from '../../../src/domain/ids.js';
import type { AgentEvent } from '../../../src/domain/vm.js';
import { FanOut, type FanOutOptions } from '../../../src/transport/fan-out.js';
import { silentLogger } from '../../../src/util/log.js';
import { createMetrics, type Metrics } from '../../../src/util/metrics.js';
import { ManualClock } from '../../support/manual-clock.js';

export function vmId(number: number): VmId {
  return parseVmId(`00000000-0000-4000-8000-${String(number).padStart(12, '0')}`)!;
}

export function statusEvent(
  vm: number,
  payload: Record<string, unknown> = {},
  notifyTime = 1000,
): AgentEvent {
  const id = vmId(vm);
  return {
    topic: `|virt|VM_status|${id}`,
    vmId: id,
    params: { [id]: { status: 'Up', ...payload } },
    notifyTime,
  };
}

export interface FanOutFixture {
  readonly fanOut: FanOut;
  readonly clock: ManualClock;
  readonly metrics: Metrics;
}

export function makeFanOut(options: Partial<FanOutOptions> = {}): FanOutFixture {
  const clock = new ManualClock();
  const metrics = createMetrics();
  return { fanOut: new FanOut({ clock, log: silentLogger, metrics, ...options }), clock, metrics };
}
