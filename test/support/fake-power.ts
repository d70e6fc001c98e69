/** Power buttons of the fake hypervisor. The guest reacts when a test says so: act(id, 'powerOff'), 'reboot'. */
import type { PowerCalls } from '../../src/domain/hypervisor-verbs.js';
import type { VmId } from '../../src/domain/ids.js';
import type { FakeGuest } from './fake-guest.js';
import type { FakeWorld } from './fake-world.js';

export class FakePower implements PowerCalls {
  constructor(
    private readonly world: FakeWorld,
    private readonly guest: FakeGuest,
  ) {}

  async shutdown(id: VmId, by: 'agent' | 'acpi'): Promise<void> {
    const domain = await this.world.enterActive('power.shutdown', id, { by });
    if (by === 'agent') this.guest.requireAgent(domain);
  }

  async reboot(id: VmId, by: 'agent' | 'acpi'): Promise<void> {
    const domain = await this.world.enterActive('power.reboot', id, { by });
    if (by === 'agent') this.guest.requireAgent(domain);
  }

  async reset(id: VmId): Promise<void> {
    await this.world.enterActive('power.reset', id);
    this.world.emit(id, { kind: 'reboot' });
  }
}
