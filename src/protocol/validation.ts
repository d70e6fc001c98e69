/**
 * Parameters of a request -> what the verb's handler gets, by the verb's schema.
 *
 * As lenient as VDSM in what is taken: "30" and "true" where a number or boolean is meant, members nobody knows,
 * null for an optional one (its default applies), an array in the schema's order. Unlike VDSM, a required parameter
 * that is missing is an error of its own (-32602); VDSM shifts the later ones to the left.
 */
import { Ajv, type ErrorObject, type Options, type ValidateFunction } from 'ajv';
import { VerbError } from '../domain/errors.js';
import { schemaDocuments } from './schema.js';
import { verbSpecs, type VerbInput, type VerbName } from './verbs.js';

/** ajv, strict, with the schema documents under the names that `$ref` uses. */
export function createValidator(options: Options = {}): Ajv {
  const ajv = new Ajv({ strict: true, ...options });
  for (const [name, schema] of Object.entries(schemaDocuments)) ajv.addSchema(schema, name);
  return ajv;
}

/** Validates calls. Each verb's schema is compiled at its first call, since compiling all would delay the start. */
export class ParamsValidator {
  /** The schemas themselves are checked by their contract test: doing it at each start would cost tens of ms. */
  readonly #ajv = createValidator({
    coerceTypes: true,
    useDefaults: true,
    validateSchema: false,
    meta: false,
  });
  readonly #compiled = new Map<VerbName, ValidateFunction>();

  /**
   * @param params of the request: an object, an array or undefined
   * @throws VerbError invalidParams, with a sentence that names verb and parameter
   */
  validate<V extends VerbName>(verb: V, params: unknown): VerbInput<V> {
    const input = named(verb, params);
    const validate = this.#validatorOf(verb);
    if (validate(input)) return input;
    throw new VerbError('invalidParams', `${verb}: ${describe(validate.errors?.[0], input)}`);
  }

  #validatorOf(verb: VerbName): ValidateFunction {
    let validate = this.#compiled.get(verb);
    if (!validate) {
      validate = this.#ajv.compile(verbSpecs[verb].params);
      this.#compiled.set(verb, validate);
    }
    return validate;
  }
}

/** A fresh object with the parameters that the verb knows and that are not null. */
function named(verb: VerbName, params: unknown): Record<string, unknown> {
  const names = Object.keys(verbSpecs[verb].params.properties ?? {});
  const input: Record<string, unknown> = {};
  if (Array.isArray(params)) {
    if (params.length > names.length) {
      const most = `${names.length} parameter${names.length === 1 ? '' : 's'}`;
      const detail = `${verb}: takes at most ${most}, not ${params.length}`;
      throw new VerbError('invalidParams', detail);
    }
    for (const [index, value] of params.entries()) {
      const name = names[index];
      if (name !== undefined && value !== null) input[name] = value;
    }
    return input;
  }
  const given = (params ?? {}) as Record<string, unknown>;
  for (const name of names) {
    const value = Object.hasOwn(given, name) ? given[name] : undefined;
    if (value !== undefined && value !== null) input[name] = value;
  }
  return input;
}

function describe(error: ErrorObject | undefined, input: unknown): string {
  if (!error) return 'the parameters are not valid';
  const path = error.instancePath.split('/').slice(1);
  if (error.keyword === 'required') {
    const missing = String((error.params as { missingProperty?: unknown }).missingProperty);
    return `the parameter ${[...path, missing].join('.')} is missing`;
  }
  const value = path.reduce<unknown>(
    (at, key) => (typeof at === 'object' && at !== null ? (at as Record<string, unknown>)[key] : undefined),
    input,
  );
  return `the parameter ${path.join('.')} ${error.message ?? 'is not valid'}, and is ${abbreviated(value)}`;
}

function abbreviated(value: unknown): string {
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object' && value !== null) return 'an object';
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}
