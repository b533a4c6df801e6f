// Everything a client of @medplum/core does in a working day. Reads {"site", "token"}.
import { MedplumClient } from '@medplum/core';
import { asked, end, order, patient, refusal, step } from './day.mjs';

const client = new MedplumClient({
  baseUrl: `${asked.site}/`,
  fhirUrlPath: 'fhir',
  accessToken: asked.token,
  cacheTime: 0,
});
const MRN = 'urn:interop:mrn';
const issue = (error) => [error.outcome.issue[0].code, error.outcome.issue[0].expression?.[0] ?? ''];
let made;

await step('create', async () => {
  made = await client.createResource(patient('medplum-1', 'Plum'));
  return made.meta.versionId;
});
const id = made.id;
await step('read', async () => (await client.readResource('Patient', id)).name[0].family);
await step('update', async () => (await client.updateResource({ ...made, active: true })).meta.versionId);
await step('search', async () =>
  (await client.searchResources('Patient', { identifier: `${MRN}|medplum-1` })).map((each) => each.id === id),
);
await step('total', async () => (await client.search('Patient', { identifier: `${MRN}|medplum-1`, _total: 'accurate' })).total);
await step('vread', async () => (await client.readVersion('Patient', id, '1')).meta.versionId);
await step('patch', async () => {
  const patched = await client.patchResource('Patient', id, [
    { op: 'test', path: '/name/0/family', value: 'Plum' },
    { op: 'replace', path: '/name/0/family', value: 'Patched' },
  ]);
  return patched.name[0].family;
});
await step('history', async () => (await client.readHistory('Patient', id)).entry.map((each) => each.resource.meta.versionId));
await step('conditional create', async () => {
  const ids = new Set();
  for (let n = 0; n < 3; n += 1) {
    ids.add((await client.createResourceIfNoneExist(patient('medplum-2', 'Once'), `identifier=${MRN}|medplum-2`)).id);
  }
  return ids.size;
});
await step('conditional update', async () => {
  const query = `identifier=${MRN}|medplum-4`;
  const first = await client.upsertResource(patient('medplum-4', 'First'), query);
  const second = await client.upsertResource(patient('medplum-4', 'Second'), query);
  return [first.id === second.id, second.name[0].family, second.meta.versionId];
});
await step('transaction', async () => {
  const done = await client.executeBatch(order('medplum-3'));
  const request = done.entry[1].response.location.match(/ServiceRequest\/([^/]+)/)[1];
  const stored = await client.readResource('ServiceRequest', request);
  const subject = await client.readReference(stored.subject);
  return [...done.entry.map((each) => each.response.status.slice(0, 3)), subject.name[0].family];
});
await step('paging', async () => {
  for (let n = 0; n < 7; n += 1) {
    await client.createResource({ resourceType: 'Organization', name: `Plum ward ${n}` });
  }
  const seen = new Set();
  let pages = 0;
  for await (const page of client.searchResourcePages('Organization', { name: 'plum', _count: '3' })) {
    pages += 1;
    page.forEach((each) => seen.add(each.id));
  }
  return [pages, seen.size];
});
await step('validate', async () => (await client.validateResource(patient('medplum-5', 'Judged'))).resourceType);
await step('delete', async () => {
  const gone = await client.createResource({ resourceType: 'Organization', name: 'Gone' });
  await client.deleteResource('Organization', gone.id);
  return refusal(client.readResource('Organization', gone.id, { cache: 'reload' }), (error) => issue(error)[0]);
});
await step('refusal', () => refusal(client.createResource({ resourceType: 'Patient', colour: 'blue' }), issue));
end();
