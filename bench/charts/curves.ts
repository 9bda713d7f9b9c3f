import { contendersOf, medianOf } from '../cells.js';
import { contenders } from '../contenders/index.js';
import type { Results } from '../results.js';
import { formatSize, formatValue, slug, type Unit } from '../units.js';
import type { Point, Workload } from '../workloads/workload.js';
import type { Chart } from './chart.js';
import { axis, frame, line, titleOf } from './style.js';

/** One metric of a family along one of its choices. */
interface Curve {
  id: string;
  title: string;
  family: string;
  along: keyof Point;
  metric: string;
  unit: Unit;
  axisName: string;
  label(value: number): string;
}

const CURVES: readonly Curve[] = [
  {
    id: 'throughput-by-size',
    title: 'Throughput by message size, one way',
    family: 'one-way',
    along: 'messageSize',
    metric: 'bytesPerSecond',
    unit: 'bytes/s',
    axisName: 'message',
    label: formatSize,
  },
  {
    id: 'scaling-by-connections',
    title: 'Round trips by connections',
    family: 'echo',
    along: 'connections',
    metric: 'rate',
    unit: 'round trips/s',
    axisName: 'connections',
    label: (value) => value.toLocaleString('en'),
  },
  {
    id: 'fan-in-by-connections',
    title: 'Fan-in by connections',
    family: 'fan-in',
    along: 'connections',
    metric: 'rate',
    unit: 'messages/s',
    axisName: 'connections',
    label: (value) => value.toLocaleString('en'),
  },
];

/** A picture for each curve that has at least two points, its other choices being the same. */
export function curveCharts(results: Results, workloads: readonly Workload[]): Chart[] {
  return CURVES.flatMap((curve) => {
    const members = workloads.filter(
      ({ family, point }) => family === curve.family && point[curve.along] !== undefined,
    );
    return [...groupsOf(members, curve.along)]
      .filter(([, group]) => group.length > 1)
      .map(([others, group]) => curveChart(results, curve, others, group));
  });
}

function groupsOf(members: readonly Workload[], along: keyof Point): Map<string, Workload[]> {
  const groups = new Map<string, Workload[]>();
  for (const workload of members) {
    const { [along]: _, connections, messageSize } = { ...workload.point, [along]: undefined };
    const others = [
      messageSize === undefined ? '' : formatSize(messageSize),
      connections === undefined ? '' : `${connections} connections`,
    ]
      .filter(Boolean)
      .join(', ');
    groups.set(others, [...(groups.get(others) ?? []), workload]);
  }
  return groups;
}

function curveChart(
  results: Results,
  { id, title, along, metric, unit, axisName, label }: Curve,
  others: string,
  group: readonly Workload[],
): Chart {
  const points = [...group].sort((a, b) => (a.point[along] ?? 0) - (b.point[along] ?? 0));
  const ids = contenders
    .map((contender) => contender.id)
    .filter(
      (contender) =>
        points.filter((point) => contendersOf(results, point.id, [contender]).length).length > 1,
    );
  const suffix = others === '' ? '' : `-${slug(others)}`;
  return {
    id: `${id}${suffix}`,
    title: others === '' ? title : `${title}, ${others}`,
    caption: 'Medians over the rounds; higher is better.',
    height: 380,
    option: (theme) => ({
      ...frame(theme, ids.map(titleOf)),
      xAxis: {
        ...axis(theme, axisName),
        nameLocation: 'middle',
        nameGap: 28,
        type: 'category',
        data: points.map(({ point }) => label(point[along] ?? 0)),
      },
      yAxis: {
        ...axis(theme, unit === 'bytes/s' ? '' : unit),
        type: 'value',
        axisLabel: { color: theme.faint, formatter: (value: number) => formatValue(value, unit) },
      },
      series: ids.map((contender) =>
        line(
          contender,
          theme,
          points.map((point) => medianOf(results, point.id, contender, metric)),
        ),
      ),
    }),
  };
}
