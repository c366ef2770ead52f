// Each seed here found something once: ten for each mutant of the protocol, and those that showed a defect of the engine. What a seed tells
// changes with the engine and with the workload; that it holds must not.

const KILLERS: Readonly<Record<string, readonly number[]>> = {
  'M1: completion without the attempt guard': [54, 87, 169, 185, 290, 781, 782, 786, 796, 799],
  'M2: completion without the state guard': [0, 33, 60, 68, 72, 84, 113, 124, 170, 189],
  'M3: rescue by SELECT, then UPDATE': [11, 80, 134, 136, 251, 294, 302, 317, 355, 366],
  'M4: attempt numbers that go down': [6, 9, 10, 23, 31, 37, 43, 48, 53, 56],
  'M5: acknowledged before the commit': [1, 2, 3, 4, 5, 7, 8, 12, 13, 14],
  'M6: shared instance ids': [16, 17, 18, 19, 20, 21, 25, 26, 34, 36],
  'M7: no reconcile': [65, 74, 77, 83, 98, 103, 115, 127, 155, 165],
  'M8: dead instances that claim': [15, 49, 95, 104, 201, 234, 237, 241, 262, 268],
  'M9: waiting runs pruned': [81, 140, 182, 298, 310, 337, 344, 358, 370, 415],
  'M10: late failures not fenced': [153, 186, 253, 265, 389, 454, 455, 469, 470, 487],
}

const DEFECTS: Readonly<Record<string, readonly number[]>> = {
  'a timer armed by a cancel while the end was being recorded': [23, 24, 29, 37, 40],
  'a run that an orderly leaver left behind': [328, 1_319, 1_871, 2_067, 4_281],
  'a wait that was given up twice': [18_458],
  'a parent and its child that both saw two crashes': [256, 1_066],
  'more runs of a dead instance than one rescue takes': [276],
  'a wall clock that was set back, and right again': [486, 2_425, 2_793, 2_907, 2_943],
  'a waiter whose run ended elsewhere before its start was answered': [85, 93, 161, 209, 227],
  'a waiter whose own attempt was fenced': [81, 203, 332, 488, 674],
}

export const KEPT: readonly number[] = [...Object.values(KILLERS), ...Object.values(DEFECTS)].flat()
