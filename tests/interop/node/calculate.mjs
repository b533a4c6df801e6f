// Reads [{"questionnaire", "responses"}...] and says what fhirpath.js makes of each calculated item of each response:
// [[{linkId: [value...]}...]...]. Variables of the root are computed first, in their order.
import { readFileSync } from 'node:fs';
import fhirpath from 'fhirpath';
import model from 'fhirpath/fhir-context/r4/index.js';

const VARIABLE = 'http://hl7.org/fhir/StructureDefinition/variable';
const CALCULATED = 'http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-calculatedExpression';

function told(holder, url) {
  return (holder.extension ?? []).filter((one) => one.url === url).map((one) => one.valueExpression);
}

function calculated(questionnaire, response) {
  const environment = { questionnaire, resource: response };
  for (const { name, expression } of told(questionnaire, VARIABLE)) {
    environment[name] = fhirpath.evaluate(response, expression, environment, model);
  }
  return Object.fromEntries(
    questionnaire.item.flatMap((item) =>
      told(item, CALCULATED).map(({ expression }) => [
        item.linkId,
        fhirpath.evaluate(response, expression, environment, model),
      ]),
    ),
  );
}

const asked = JSON.parse(readFileSync(0, 'utf8'));
const answer = asked.map(({ questionnaire, responses }) => responses.map((one) => calculated(questionnaire, one)));
process.stdout.write(JSON.stringify(answer));
