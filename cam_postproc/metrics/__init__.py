"""Localisation metrics of weakly supervised object localisation, as the field's evaluator computes them.

Choe et al., "Evaluating Weakly Supervised Object Localization Methods Right", CVPR 2020, section 4; conventions as in
its public evaluator (clovaai/wsolevaluation). Rates are fractions, not percent.
"""
