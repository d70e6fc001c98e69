/**
 * Removes payload images with their VMs: when a VM is forgotten, and once, when all VMs are known, those of VMs that an
 * earlier life of the agent had.
 */
import type { LaunchFiles } from '../domain/launch-files.js';
import type { Service } from '../util/lifecycle.js';
import type { Registry } from './registry.js';

export class ImageKeeper implements Service {
  #remove: (() => void) | undefined;

  constructor(
    private readonly parts: {
      readonly registry: Registry;
      readonly host: Pick<LaunchFiles, 'removeImages' | 'removeStaleImages'>;
    },
  ) {}

  start(): Promise<void> {
    const { registry, host } = this.parts;
    this.#remove = registry.onChange((id, after) => {
      if (after === undefined) void host.removeImages(id);
    });
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.#remove?.();
    return Promise.resolve();
  }

  /** To be called when all VMs are known, before one is created. */
  async allKnown(): Promise<void> {
    const { registry, host } = this.parts;
    await host.removeStaleImages((id) => registry.get(id) !== undefined);
  }
}
