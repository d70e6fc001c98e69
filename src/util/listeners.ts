/**
 * Telling the listeners of a library. One that throws disturbs neither the others nor the teller; its error surfaces
 * as an uncaught exception, as from an event emitter.
 */
export function tellAll<Listener>(listeners: Iterable<Listener>, call: (listener: Listener) => void): void {
  for (const listener of [...listeners]) {
    try {
      call(listener);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}
