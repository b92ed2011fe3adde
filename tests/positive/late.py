"""Short programs over libraries that may be installed beside the preloaded ones: package -> code that prints."""

from __future__ import annotations

from typing import Final

_FRAME: Final = "import pandas as pd\nd = pd.DataFrame({'a': [1, 2], 'b': ['x', '京']})\n"
_IRIS: Final = "from sklearn.datasets import load_iris\nX, y = load_iris(return_X_y=True)\n"

PROGRAMS: Final = {
    "scipy": """
import numpy as np, scipy.cluster.hierarchy, scipy.integrate, scipy.interpolate, scipy.io, scipy.ndimage, scipy.signal
import scipy.optimize, scipy.sparse.linalg, scipy.spatial, scipy.stats
print(scipy.stats.norm.cdf(0), scipy.optimize.minimize(lambda v: (v[0] - 1) ** 2, [0]).x.round(3))
print(round(scipy.integrate.quad(np.sin, 0, np.pi)[0], 6), scipy.signal.firwin(3, 0.5).round(3))
scipy.io.savemat('a.mat', {'x': np.arange(3)})
print(scipy.io.loadmat('a.mat')['x'])
import seaborn as sns
rng = np.random.default_rng(1)
sns.clustermap(rng.normal(size=(6, 4)), figsize=(3, 3))
sns.kdeplot(x=rng.normal(size=30))
""",
    "sklearn": _IRIS
    + """
from sklearn.cluster import DBSCAN, KMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
print(RandomForestClassifier(5, n_jobs=2, random_state=0).fit(X, y).score(X, y) > 0.9)
print(KMeans(3, n_init=2, random_state=0).fit(X).inertia_ < 100, len(set(DBSCAN().fit(X).labels_)))
print(PCA(2).fit(X).explained_variance_.round(2), SVC().fit(X, y).score(X, y) > 0.9)
print(HistGradientBoostingClassifier(max_iter=5).fit(X, y).score(X, y) > 0.9)
print(KNeighborsClassifier(n_jobs=2).fit(X, y).predict(X[:2]))
model = make_pipeline(StandardScaler(), LogisticRegression())
print(cross_val_score(model, X, y, cv=3, n_jobs=-1).mean() > 0.8)
print(GridSearchCV(LogisticRegression(max_iter=500), {'C': [1, 2]}, n_jobs=2).fit(X, y).best_score_ > 0.8)
""",
    "joblib": """
import joblib
from joblib import Memory, Parallel, delayed
print(Parallel(n_jobs=2)(delayed(abs)(number) for number in (-1, -2)))
print(Parallel(n_jobs=-1, prefer='threads')(delayed(abs)(number) for number in (-1, -2)))
joblib.dump([1], 'a.joblib', compress=3)
print(joblib.load('a.joblib'), Memory('kept', verbose=0).cache(abs)(-3))
""",
    "statsmodels": """
import numpy as np, pandas as pd, statsmodels.api as sm, statsmodels.formula.api as smf
from statsmodels.tsa.arima.model import ARIMA
from statsmodels.tsa.seasonal import seasonal_decompose
d = pd.DataFrame({'x': np.arange(24.0), 'y': np.arange(24) * 2.0 + np.sin(np.arange(24))})
print(smf.ols('y ~ x', d).fit().params.round(1).tolist(), sm.OLS(d.y, sm.add_constant(d.x)).fit().rsquared > 0.9)
print(type(ARIMA(d.y, order=(1, 0, 0)).fit()).__name__)
seasonal_decompose(d.y, period=4).plot()
""",
    "sympy": """
import sympy as sp
x = sp.symbols('x')
print(sp.integrate(sp.sin(x), x), sp.solve(x**2 - 2), sp.lambdify(x, x**2)(3), sp.latex(sp.sqrt(x)))
sp.plot(x**2, show=False)
""",
    "openpyxl": _FRAME
    + """
d.to_excel('a.xlsx', index=False)
print(pd.read_excel('a.xlsx').equals(d))
with pd.ExcelWriter('b.xlsx', engine='openpyxl') as writer:
    d.to_excel(writer, sheet_name='1')
    d.to_excel(writer, sheet_name='2')
with pd.ExcelWriter('b.xlsx', mode='a', engine='openpyxl') as writer:
    d.to_excel(writer, sheet_name='3')
print(list(pd.read_excel('b.xlsx', sheet_name=None)))
""",
    "xlsxwriter": _FRAME
    + """
with pd.ExcelWriter('c.xlsx', engine='xlsxwriter') as writer:
    d.to_excel(writer, sheet_name='1')
    writer.book.add_chart({'type': 'line'})
print(len(open('c.xlsx', 'rb').read()) > 1000)
""",
    "pyarrow": _FRAME
    + """
d.to_parquet('a.parquet')
d.to_feather('a.feather')
d.to_orc('a.orc')
d.to_csv('a.csv', index=False)
print(pd.read_parquet('a.parquet').equals(d), pd.read_feather('a.feather').equals(d), pd.read_orc('a.orc').shape)
print(len(pd.read_csv('a.csv', engine='pyarrow')))
d.to_parquet('parts', partition_cols=['b'])
print(len(pd.read_parquet('parts')))
import pyarrow.compute, pyarrow.dataset
print(pyarrow.dataset.dataset('a.parquet').to_table().num_rows)
""",
    "tables": _FRAME
    + """
d.to_hdf('a.h5', key='k')
d.to_hdf('b.h5', key='k', format='table', complib='blosc')
print(pd.read_hdf('a.h5', 'k').equals(d), pd.read_hdf('b.h5', 'k').equals(d))
""",
    "numexpr": """
import numexpr, numpy as np, pandas as pd
values = np.arange(1e6)
print(numexpr.evaluate('values * 2')[3], len(pd.DataFrame({'a': values}).query('a > 5 and a < 9')))
""",
    "lxml": _FRAME
    + """
import io
from lxml import etree, html
print(etree.fromstring('<a><b/></a>').xpath('count(//b)'), html.fromstring('<p>x</p>').text)
print(len(pd.read_html(io.StringIO('<table><tr><td>1</td></tr></table>'))))
d.to_xml('a.xml')
print(len(pd.read_xml('a.xml')))
""",
    "sqlalchemy": _FRAME
    + """
import sqlalchemy
engine = sqlalchemy.create_engine('sqlite:///a.db')
d.to_sql('t', engine)
print(len(pd.read_sql('t', engine)))
engine.dispose()
""",
    "networkx": "import networkx as nx\ng = nx.karate_club_graph()\nprint(len(g))\nnx.draw(g, pos=nx.circular_layout(g))\n",
    "jinja2": _FRAME + "print('<style' in d.style.background_gradient().to_html())\n",
    "tabulate": _FRAME + "print(d.to_markdown())\n",
    "bottleneck": "import bottleneck\nprint(bottleneck.nanmean([1.0, 2.0]))\n",
}
