/** Puts the API together: handlers over the parts, and the dispatcher over the handlers. */
import { agentHandlers } from './agent.js';
import type { ApiParts } from './call.js';
import { Dispatcher, type DispatcherParts } from './dispatcher.js';
import { hostHandlers } from './host.js';
import { vmHandlers } from './vm.js';

export type CreateDispatcherOptions = ApiParts & Omit<DispatcherParts, 'handlers'>;

export function createDispatcher(options: CreateDispatcherOptions): Dispatcher {
  const handlers = { ...hostHandlers(options), ...vmHandlers(options), ...agentHandlers(options) };
  return new Dispatcher({ ...options, handlers });
}
